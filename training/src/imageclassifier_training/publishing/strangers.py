"""Measures how many made pictures, which show no class of any model, a model finds unfamiliar.

The pictures are drawn from a seed, so that the figures of two models are about the same ones.
"""

from __future__ import annotations

import io
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from imageclassifier_gateway.pixels.images import fit

from ..exporting import golden
from ..exporting.saved_model import ServedModel

IMAGES = 20
"""The number of pictures of each kind."""
_SIDE = 320
#: Golden images have the seeds from zero on.
_FIRST_SEED = 1000
_LINE, _LETTERS = 14, 60


@dataclass(frozen=True)
class Found:
    """The pictures of one kind, and how many of them the model finds unfamiliar."""

    kind: str
    images: int
    unfamiliar: int


def measure(model: ServedModel) -> tuple[Found, ...]:
    """Count the unfamiliar pictures of each kind; empty if the model returns no distances."""
    familiarity = model.contract.familiarity
    if familiarity is None:
        return ()
    wanted = model.contract.input
    found = []
    for kind, draw in KINDS.items():
        pictures = [draw(np.random.default_rng(_FIRST_SEED + number)) for number in range(IMAGES)]
        pixels = np.stack([np.asarray(fit(each.convert("RGB"), wanted)) for each in pictures])
        _, distances = model.scores(pixels)
        assert distances is not None
        unfamiliar = sum(familiarity.is_unfamiliar(each) for each in distances.tolist())
        found.append(Found(kind, IMAGES, unfamiliar))
    return tuple(found)


def _noise(random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8))


def _clouds(random: np.random.Generator) -> Image.Image:
    cells = int(random.integers(2, 24))
    small = Image.fromarray(random.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return small.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)


def _colour(random: np.random.Generator) -> Image.Image:
    return Image.new("RGB", (_SIDE, _SIDE), _any_colour(random))


def _shapes(random: np.random.Generator) -> Image.Image:
    return Image.open(io.BytesIO(golden.shapes(int(random.integers(_FIRST_SEED, 2**31)))))


def _text(random: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (_SIDE, _SIDE), "white" if random.random() < 0.5 else "black")
    draw = ImageDraw.Draw(picture)
    ink = _any_colour(random)
    letters = list(string.ascii_letters + string.digits + "     ")
    for top in range(0, _SIDE, _LINE):
        draw.text((4, top), "".join(random.choice(letters, _LETTERS)), fill=ink)
    return picture


def _any_colour(random: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


KINDS: Mapping[str, Callable[[np.random.Generator], Image.Image]] = {
    "noise": _noise,
    "blurred colours": _clouds,
    "one colour": _colour,
    "drawn shapes": _shapes,
    "text": _text,
}
