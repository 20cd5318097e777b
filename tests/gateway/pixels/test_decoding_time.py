"""The estimated time for decoding a picture, compared with the CPU time that it takes."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.pixels.decoding_time import decoding_seconds

SIZE = (1_000, 800)
PIXELS = np.random.default_rng(3).integers(0, 256, (SIZE[1], SIZE[0], 4), np.uint8)
NOISE = Image.fromarray(PIXELS[:, :, :3].copy())
#: Its 4 components take more bytes and time than those of any other JPEG of its size.
PRINT = Image.frombytes("CMYK", SIZE, PIXELS.tobytes())
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "progressive JPEG in CMYK": ("JPEG", {"quality": 95, "progressive": True, "subsampling": 0}),
    "PNG": ("PNG", {"compress_level": 1}),
    "WebP": ("WEBP", {"quality": 80}),
    "lossless WebP": ("WEBP", {"lossless": True, "method": 0}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("AVIF", {"quality": 60, "speed": 10}),
    "HEIC": ("HEIF", {"quality": 60}),
    "HEIC of high quality": ("HEIF", {"quality": 95}),
}


def encoded(file_format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    (PRINT if "subsampling" in options else NOISE).save(buffer, file_format, **options)
    return buffer.getvalue()


def cpu_seconds(work: Callable[[], object]) -> float:
    """The least CPU time of several runs, of all threads."""
    runs = []
    for _ in range(4):
        began = time.process_time()
        work()
        runs.append(time.process_time() - began)
    return min(runs)


def share_of_estimate(data: bytes, several_scans: bool = False) -> float:
    with Image.open(io.BytesIO(data)) as picture:
        estimate = decoding_seconds(picture, picture.size, several_scans, len(data))
    return cpu_seconds(lambda: images.decode(data)) / estimate


@pytest.mark.parametrize("kind", KINDS)
def test_no_format_exceeds_its_estimate_by_three_times_as_much_as_jpeg(kind: str) -> None:
    file_format, options = KINDS[kind]
    data = encoded(file_format, options)
    reference = share_of_estimate(encoded("JPEG", {"quality": 85}))
    assert share_of_estimate(data, "progressive" in options) < 3 * reference
