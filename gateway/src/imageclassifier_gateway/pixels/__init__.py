"""Turns the bytes of a picture into the pixels of a model's input, for serving and for training."""
