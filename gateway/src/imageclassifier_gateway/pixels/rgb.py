"""Conversion of decoded pixels of any kind to RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .fileformats import Unsupported
from .pieces import Pause, no_pause

#: Transparent pictures are laid on white in strips of this many pixels. Copies of the whole picture would
#: take 12 bytes per pixel. Pillow keeps Python's global lock for a strip, which takes 0.2 ms.
_STRIP_PIXELS = 32 * 1024


def to_rgb(picture: Image.Image, pause: Pause = no_pause) -> Image.Image:
    """Convert a decoded picture to RGB, 8 bits per channel. Transparent parts become white.

    `pause` is called between strips of a transparent picture.

    Raises Unsupported for pixels that have no defined colour.
    """
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode in ("I", "F"):
        raise Unsupported(
            f"has 32-bit {'integers' if picture.mode == 'I' else 'floats'} as pixels, which have "
            "no defined white. Save it with 8 or 16 bits per channel."
        )
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling. For 16-bit colour, Pillow keeps the high
        # byte, so grey does the same.
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        return _on_white(picture, pause)
    try:
        return picture.convert("RGB")
    except ValueError:
        raise Unsupported(
            f"has colours ({picture.mode}) that cannot be converted to RGB. Save it as RGB."
        ) from None


def _on_white(picture: Image.Image, pause: Pause) -> Image.Image:
    opaque = Image.new("RGB", picture.size)
    opaque.info = {name: picture.info[name] for name in picture.info if name == "icc_profile"}
    rows = max(1, _STRIP_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        pause()
        strip = picture.crop((0, top, picture.width, min(top + rows, picture.height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        opaque.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return opaque
