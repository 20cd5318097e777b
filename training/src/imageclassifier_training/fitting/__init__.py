"""Fits a network to a data set: features, linear heads, fine-tuning and cross-validation."""
