"""Draws folders of small images for tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(folder: Path, colour: tuple[int, int, int], count: int, seed: int) -> None:
    """Draw noisy images of one colour, each with other content."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.clip(np.array(colour) + random.normal(0, 60, (40, 50, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")


def smooth(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Draw a picture of random soft blotches, which looks the same when it is resized or recompressed."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
