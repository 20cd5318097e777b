"""The images to learn from: a checked data set, its splits, and its augmented views."""
