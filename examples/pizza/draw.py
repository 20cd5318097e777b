#!/usr/bin/env python
"""Draws example images for the demo: pizzas, and other round or red things.

examples/pizza/draw.py pictures            # pictures/pizza-0.jpg ... and pictures/other-0.jpg ...
examples/pizza/draw.py pictures --count 20
examples/pizza/draw.py photographs --count 40 --by-class   # photographs/pizza/ and photographs/not_pizza/
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE = 512
Random = np.random.Generator
Colour = tuple[int, int, int]


def pizza(random: Random) -> Image.Image:
    """A pizza with pepperoni on a wooden table, seen from above."""
    picture = _wood(random)
    centre, radius = (
        (SIDE / 2 + random.normal(0, 10), SIDE / 2 + random.normal(0, 10)),
        SIDE * random.uniform(0.4, 0.45),
    )
    _shadow(picture, centre, radius * 1.03)
    crust = _mottled(random, (206, 150, 84), 26, 10)
    picture.paste(crust, mask=_blob(random, centre, radius, 0.012))
    picture.paste(_mottled(random, (178, 48, 24), 22, 7), mask=_blob(random, centre, radius * 0.87, 0.02))
    picture.paste(_mottled(random, (240, 200, 104), 34, 14), mask=_blob(random, centre, radius * 0.84, 0.035))
    for _ in range(40):
        _spot(
            picture, random, _inside(random, centre, radius * 0.8), random.uniform(4, 13), (214, 140, 52), 5
        )
    for place in _apart(random, centre, radius * 0.72, 14, radius * 0.26):
        size = radius * random.uniform(0.115, 0.14)
        _shadow(picture, place, size * 1.08)
        _spot(picture, random, place, size, (150, 34, 22), 1)
        _spot(picture, random, place, size * 0.86, (190, 60, 38), 2)
        for _ in range(9):
            _spot(
                picture, random, _inside(random, place, size * 0.7), random.uniform(1.5, 4), (224, 120, 84), 1
            )
    for _ in range(26):
        _leaf(picture, random, _inside(random, centre, radius * 0.78))
    return _photographed(picture, random)


def other(random: Random, kind: int) -> Image.Image:
    """A cup of coffee, or some apples."""
    picture = _wood(random)
    return _photographed((_coffee, _apples)[kind % 2](picture, random), random)


def _coffee(picture: Image.Image, random: Random) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    x, y, size = SIDE * 0.46, SIDE * 0.5, SIDE * random.uniform(0.24, 0.29)
    _shadow(picture, (x, y), size * 1.6)
    for radius, colour in ((1.55, (236, 236, 240)), (1.48, (250, 250, 252)), (1.05, (226, 228, 232))):
        draw.ellipse(_box((x, y), size * radius), fill=colour)
    draw.arc(
        _box((x + size * 1.02, y - size * 0.2), size * 0.4),
        -130,
        130,
        fill=(240, 240, 244),
        width=int(size / 6),
    )
    draw.ellipse(_box((x, y), size), fill=(252, 252, 253))
    draw.ellipse(_box((x, y), size * 0.88), fill=(58, 32, 18))
    draw.ellipse(_box((x, y), size * 0.8), fill=(74, 42, 24))
    return picture


def _apples(picture: Image.Image, random: Random) -> Image.Image:
    for x, y in ((0.3, 0.36), (0.66, 0.32), (0.48, 0.67)):
        size = SIDE * random.uniform(0.15, 0.18)
        place = (SIDE * x, SIDE * y)
        colour = ((176, 28, 34), (120, 168, 46))[int(random.integers(2))]
        _shadow(picture, (place[0] + 8, place[1] + 12), size)
        for step in np.linspace(1, 0.2, 24):
            lit = tuple(int(c + (255 - c) * 0.5 * (1 - step) ** 2) for c in colour)
            shifted = (place[0] - size * 0.3 * (1 - step), place[1] - size * 0.3 * (1 - step))
            ImageDraw.Draw(picture).ellipse(_box(shifted, size * step), fill=lit)
        stem = [(place[0], place[1] - size * 0.2), (place[0] + size * 0.2, place[1] - size * 0.75)]
        ImageDraw.Draw(picture).line(stem, fill=(82, 54, 30), width=7)
    return picture


def _noise(random: Random, cell: int) -> NDArray[np.float64]:
    """Smooth noise from -1 to 1 with blotches of about `cell` pixels."""
    small = random.uniform(0, 255, (SIDE // cell + 2, SIDE // cell + 2)).astype(np.uint8)
    large = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(large, dtype=np.float64) / 127.5 - 1


def _mottled(random: Random, colour: Colour, strength: float, cell: int) -> Image.Image:
    blotches = _noise(random, cell) + 0.6 * _noise(random, cell * 4) + 0.3 * random.normal(0, 1, (SIDE, SIDE))
    return _picture(np.array(colour) + strength * blotches[..., None])


def _wood(random: Random) -> Image.Image:
    row = np.arange(SIDE)[:, None]
    grain = np.sin(row / 5.5 + 3 * _noise(random, 128)) + 0.5 * _noise(random, 6)
    seams = np.where(row % 128 < 3, -40, 0)
    return _picture(np.array((122, 82, 50)) + (11 * grain + seams + 8 * _noise(random, 60))[..., None])


def _picture(values: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _blob(random: Random, centre: tuple[float, float], radius: float, roughness: float) -> Image.Image:
    angles = np.linspace(0, 2 * math.pi, 180, endpoint=False)
    waves = np.zeros_like(angles)
    for k in range(2, 24):
        waves += random.normal(0, 1 / k) * np.cos(k * angles + random.uniform(0, 6))
    radii = radius * (1 + roughness * waves)
    outline = [
        (centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)
    ]
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(1.5))


def _spot(
    picture: Image.Image, random: Random, place: tuple[float, float], size: float, colour: Colour, soft: float
) -> None:
    mask = Image.new("L", (SIDE, SIDE))
    stretch = random.uniform(0.88, 1.12)
    box = (place[0] - size * stretch, place[1] - size, place[0] + size * stretch, place[1] + size)
    ImageDraw.Draw(mask).ellipse(box, fill=225)
    shade = tuple(int(np.clip(c + random.normal(0, 9), 0, 255)) for c in colour)
    picture.paste(shade, mask=mask.filter(ImageFilter.GaussianBlur(soft)))


def _leaf(picture: Image.Image, random: Random, place: tuple[float, float]) -> None:
    angle, length = random.uniform(0, math.pi), random.uniform(4, 9)
    tip = (place[0] + length * math.cos(angle), place[1] + length * math.sin(angle))
    colour = (int(random.integers(30, 70)), int(random.integers(80, 120)), 30)
    ImageDraw.Draw(picture).line((place, tip), fill=colour, width=3)


def _shadow(picture: Image.Image, centre: tuple[float, float], radius: float) -> None:
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse(
        _box((centre[0] + radius * 0.03, centre[1] + radius * 0.05), radius), fill=130
    )
    picture.paste((20, 12, 6), mask=mask.filter(ImageFilter.GaussianBlur(max(2.0, radius * 0.04))))


def _photographed(picture: Image.Image, random: Random) -> Image.Image:
    """Light from one side, darker corners, the sensor's noise."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
    light = 1 + 0.12 * (x * random.uniform(-1, 1) - y) - 0.35 * (x * x + y * y)
    noise = random.normal(0, 5, (SIDE, SIDE, 3))
    soft = ImageChops.blend(picture, picture.filter(ImageFilter.GaussianBlur(1)), 0.5)
    return _picture(np.asarray(soft) * light[..., None] + noise)


def _box(centre: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    return (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)


def _inside(random: Random, centre: tuple[float, float], radius: float) -> tuple[float, float]:
    angle, distance = random.uniform(0, 2 * math.pi), radius * math.sqrt(random.uniform(0, 1))
    return centre[0] + distance * math.cos(angle), centre[1] + distance * math.sin(angle)


def _apart(
    random: Random, centre: tuple[float, float], radius: float, count: int, distance: float
) -> list[tuple[float, float]]:
    places: list[tuple[float, float]] = []
    for _ in range(400):
        place = _inside(random, centre, radius)
        if len(places) < count and all(math.dist(place, each) > distance for each in places):
            places.append(place)
    return places


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--count", type=int, default=3, help="number of images of each kind (default: 3)")
    parser.add_argument(
        "--by-class", action="store_true", help="draw into a folder for each class, as a training needs them"
    )
    options = parser.parse_args()
    first, second = ("pizza/", "not_pizza/") if options.by_class else ("pizza-", "other-")
    for seed in range(options.count):
        for name, picture in (
            (first, pizza(np.random.default_rng(seed))),
            (second, other(np.random.default_rng(seed), seed)),
        ):
            path = options.out / f"{name}{seed}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=90)


if __name__ == "__main__":
    main()
