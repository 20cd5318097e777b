"""Pictures of a given number of pixels, and their files."""

from __future__ import annotations

import io
import math

from PIL import Image

MEGAPIXEL = 1_000_000


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The file of a picture, in the format that Pillow calls `kind`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def side_of(pixels: float, multiple: int = 32) -> int:
    """The side of a square of about this many pixels, rounded to a multiple."""
    return max(1, round(math.sqrt(pixels) / multiple)) * multiple
