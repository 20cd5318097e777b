#!/usr/bin/env python
"""Draws the small pictures of `image_vectors/` in many formats, and writes down the pixels they must become.

Run it only to add a picture or a way to prepare it: a changed hash of an old one means that training and
serving no longer see the same, and that every model that exists was trained on other pixels.
"""

from __future__ import annotations

import hashlib
import io
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from imageclassifier_gateway.contract import FITS, PROFILES, RESIZES, Decoding, ModelInput
from imageclassifier_gateway.pixels.images import prepare
from imageclassifier_training.exporting import golden_photograph

FOLDER = Path(__file__).parent / "image_vectors"
SIZES = ((24, 24), (20, 32))  # height, width
PHOTOGRAPH, PHOTOGRAPH_SIZE = "photograph.jpg", (120, 160)
DECODINGS = [
    Decoding(margin=margin, profile=profile) for margin, profile in product((2.0, 1.33, 0.85), PROFILES)
]


def drawn(width: int = 60, height: int = 40) -> Image.Image:
    """A picture that no turning or mirroring leaves as it is: a gradient, a disc, a bar, a corner mark."""
    y, x = np.mgrid[0:height, 0:width]
    gradient = np.stack(
        [255 * x // width, 255 * y // height, 255 - 255 * (x + y) // (width + height)], axis=-1
    )
    picture = Image.fromarray(gradient.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((width // 8, height // 4, width // 2, height * 3 // 4), fill=(250, 210, 60))
    draw.rectangle((width * 2 // 3, 2, width - 3, height // 3), fill=(20, 20, 30))
    draw.rectangle((0, 0, 3, 3), fill=(255, 255, 255))
    return picture


def pictures() -> dict[str, bytes]:
    """The pictures by file name."""
    rgb = drawn()
    alpha = rgb.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    grey16 = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    found = {
        "rgb.png": _encoded(rgb, "PNG"),
        "grey.png": _encoded(rgb.convert("L"), "PNG"),
        "grey_alpha.png": _encoded(alpha.convert("LA"), "PNG"),
        "grey16.png": _encoded(grey16, "PNG"),
        "alpha.png": _encoded(alpha, "PNG"),
        "palette.png": _encoded(rgb.quantize(16), "PNG"),
        "palette_transparent.png": _encoded(rgb.quantize(16), "PNG", transparency=3),
        "rgb_transparent_colour.png": _encoded(rgb, "PNG", transparency=(20, 20, 30)),
        "bilevel.png": _encoded(rgb.convert("1"), "PNG"),
        "one_pixel.png": _encoded(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG"),
        "long.png": _encoded(drawn(300, 12), "PNG"),
        "rgb.jpg": _encoded(rgb, "JPEG", quality=90),
        "grey.jpg": _encoded(rgb.convert("L"), "JPEG", quality=90),
        "cmyk.jpg": _encoded(rgb.convert("CMYK"), "JPEG", quality=90),
        "progressive.jpg": _encoded(rgb, "JPEG", quality=90, progressive=True),
        "reduced_scale.jpg": _encoded(drawn(480, 320), "JPEG", quality=85),
        "lossy.webp": _encoded(rgb, "WEBP", quality=80),
        "lossless_alpha.webp": _encoded(alpha, "WEBP", lossless=True),
        "first_frame.gif": _encoded(rgb, "GIF", save_all=True, append_images=[Image.new("RGB", rgb.size)]),
        "rgb.bmp": _encoded(rgb, "BMP"),
        "lzw.tiff": _encoded(rgb, "TIFF", compression="tiff_lzw"),
        "cmyk.tiff": _encoded(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "rgb.heic": _encoded(rgb, "HEIF", quality=80),
        "rgb.avif": _encoded(rgb, "AVIF", quality=80),
        "alpha.avif": _encoded(alpha, "AVIF", quality=80),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        found[f"orientation{orientation}.jpg"] = _encoded(rgb, "JPEG", quality=90, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    found["reduced_scale_sideways.jpg"] = _encoded(drawn(480, 160), "JPEG", quality=85, exif=exif)
    found[PHOTOGRAPH] = golden_photograph.draw(ModelInput(*PHOTOGRAPH_SIZE), seed=0)
    return found


def wanted_by_case() -> dict[str, ModelInput]:
    """The inputs for which every picture is prepared, by the name of the case."""
    return {
        f"{height}x{width} {fit} {resize}": ModelInput(height=height, width=width, resize=resize, fit=fit)
        for height, width in SIZES
        for fit in FITS
        for resize in RESIZES
    }


def wanted_photographs() -> dict[str, ModelInput]:
    """The inputs for which the photograph is prepared, by the name of the case."""
    height, width = PHOTOGRAPH_SIZE
    return {
        f"{height}x{width} squash {resize} {json.dumps(decoding.to_dict())}": ModelInput(
            height=height, width=width, resize=resize, decode=decoding
        )
        for resize in RESIZES
        for decoding in DECODINGS
    }


def prepared(name: str, data: bytes) -> dict[str, str]:
    """The sha256 of the prepared pixels for each case."""
    cases = wanted_photographs() if name == PHOTOGRAPH else wanted_by_case()
    return {
        case: hashlib.sha256(prepare(data, wanted).tobytes()).hexdigest() for case, wanted in cases.items()
    }


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    vectors = {}
    for name, data in pictures().items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_bytes(data)
        vectors[name] = prepared(name, (FOLDER / name).read_bytes())
    (FOLDER / "vectors.json").write_text(json.dumps(vectors, indent=0) + "\n")


if __name__ == "__main__":
    main()
