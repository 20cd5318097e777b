"""Searches for the best way to train: backbones, input sizes, augmentation, head and fine-tuning."""
