"""Pictures and bodies that mutations start from."""

from __future__ import annotations

import io
import random
from functools import cache

import pillow_heif
from adversarial import (
    BODIES,
    Body,
    bmp_of_runs,
    jpeg_in_three_scans,
    jpeg_of_empty_scans,
    mpf_segment,
    tiff_of_tiles,
    with_segments,
)
from PIL import Image


@cache
def seeds() -> tuple[bytes, ...]:
    """Small pictures in every format and colour model that is read, as good as they come."""
    noise = random.Random(1)
    rgb = Image.new("RGB", (96, 64))
    rgb.putdata([(noise.randrange(256), x % 256, 128) for x in range(96 * 64)])
    pictures = []

    def add(image: Image.Image, kind: str, **options: object) -> None:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        pictures.append(buffer.getvalue())

    exif = Image.Exif()
    exif[0x0112] = 6
    add(rgb, "JPEG", exif=exif)
    add(rgb, "JPEG", progressive=True)
    add(rgb.convert("CMYK"), "JPEG")
    add(rgb.convert("L"), "JPEG")
    for mode in ("RGB", "RGBA", "P", "L", "1", "LA"):
        add(rgb.convert(mode), "PNG")
    add(Image.new("I;16", (32, 32), 40000), "PNG")
    add(rgb, "WEBP")
    add(rgb, "WEBP", lossless=True)
    add(rgb.convert("P"), "GIF", save_all=True, append_images=[rgb.convert("P")])
    add(rgb, "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits"):
        add(rgb, "TIFF", compression=compression)
    pillow_heif.register_heif_opener()
    add(rgb, "HEIF")
    add(rgb, "AVIF")
    add(rgb, "MPO", save_all=True, append_images=[rgb])
    pictures.append(jpeg_in_three_scans(96, 64))
    pictures.append(with_segments(jpeg_in_three_scans(96, 64), mpf_segment()))
    pictures.append(jpeg_of_empty_scans(96, 64, 20))
    pictures.append(tiff_of_tiles(96, 64, 16))
    pictures.append(bmp_of_runs(96, 64, (b"\x60\0\0\0") * 64))
    return tuple(pictures)


@cache
def costly_seeds() -> tuple[bytes, ...]:
    """Files of a few kilobytes that take as much memory as any accepted picture does."""
    pictures = []

    def add(mode: str, side: int, kind: str, **options: object) -> None:
        buffer = io.BytesIO()
        Image.new(mode, (side, side)).save(buffer, kind, **options)
        pictures.append(buffer.getvalue())

    add("RGBA", 4900, "PNG")
    add("RGBA", 3500, "WEBP", lossless=True, method=0)
    add("P", 4900, "GIF", transparency=0)
    add("RGB", 4900, "JPEG", progressive=True, quality=5)
    add("RGBA", 4900, "TIFF", compression="tiff_adobe_deflate")
    return tuple(pictures)


@cache
def structured_seeds() -> tuple[Body, ...]:
    """Small bodies of every kind that is costly to read: forms, JSON, and pictures with odd structures."""
    bodies = [make(2_000) for make in BODIES.values()]
    return tuple(body for body in bodies if len(body.data) < 20_000)
