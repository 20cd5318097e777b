"""From the bytes of a picture to the pixels of a model's input, for serving and for training."""
