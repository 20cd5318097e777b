"""A picture never takes more memory than its header implies, regardless of its content."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from adversarial import BODIES, jpeg_in_three_scans, mpf_segment, tiff_of_tiles, with_segments
from PIL import Image

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels import images
from images.recipes import PROGRAMS

WANTED = ModelInput(height=24, width=24)
SIDE = 2000
BYTES_PER_PIXEL = {"AVIF": 16, "WEBP": 18, "HEIF": 10, "TIFF": 13}
"""Measured are 14.4, 17, 9 and 12; 8.5 for the others. A copy of the whole picture more would be 4."""
OTHERS_BYTES_PER_PIXEL = 10

#: As in the gateway's image: with glibc's defaults the holes in its heap count too, 3 bytes a pixel or none.
ENVIRONMENT = os.environ | dict(
    each.split("=") for program in PROGRAMS if program.name == "gateway" for each in program.environment
)

MEASURE = """
import sys
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.contract import ModelInput

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

data = sys.stdin.buffer.read()
with open("/proc/self/clear_refs", "w") as marks:
    marks.write("5")  # the peak counts from here on (proc(5))
before = peak()
images.prepare(data, ModelInput(height=24, width=24))
print(peak() - before)
"""


def noise(mode: str) -> Image.Image:
    """Coarse, so that the file is small."""
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(3).integers(0, 256, (40, 40, channels), np.uint8)
    return Image.merge(mode, [Image.fromarray(pixels[..., i]) for i in range(channels)]).resize(
        (SIDE, SIDE), 0
    )


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "PNG with alpha": ("PNG", lambda: saved(noise("RGBA"), "PNG")),
    "grey PNG with alpha": ("PNG", lambda: saved(noise("LA"), "PNG")),
    "PNG with a transparent colour": ("PNG", lambda: saved(noise("RGB"), "PNG", transparency=(1, 2, 3))),
    "transparent GIF": ("GIF", lambda: saved(noise("RGB").quantize(64), "GIF", transparency=3)),
    "TIFF with alpha": ("TIFF", lambda: saved(noise("RGBA"), "TIFF", compression="tiff_lzw")),
    "lossless WebP with alpha": ("WEBP", lambda: saved(noise("RGBA"), "WEBP", lossless=True, method=0)),
    "lossy WebP": ("WEBP", lambda: saved(noise("RGB"), "WEBP", method=0)),
    "HEIC with alpha": ("HEIF", lambda: saved(noise("RGBA"), "HEIF")),
    "AVIF with alpha": ("AVIF", lambda: saved(noise("RGBA"), "AVIF", speed=10, subsampling="4:4:4")),
    "progressive JPEG": ("JPEG", lambda: saved(noise("RGB"), "JPEG", progressive=True, subsampling=0)),
    "interlaced PNG of 16 bits": ("PNG", lambda: BODIES["png-bomb"](SIDE * SIDE * 8 // 1000).data),
    "TIFF of 16 bits in one strip": ("TIFF", lambda: BODIES["tiff-bomb"](SIDE * SIDE * 8 // 1000).data),
    "TIFF that is turned": (
        "TIFF",
        lambda: saved(noise("RGB"), "TIFF", compression="tiff_lzw", exif=turned()),
    ),
    "animated WebP": (
        "WEBP",
        lambda: saved(noise("RGBA"), "WEBP", save_all=True, append_images=[noise("RGB")] * 2, method=0),
    ),
    "animated GIF": (
        "GIF",
        lambda: saved(noise("RGB").quantize(64), "GIF", save_all=True, append_images=[noise("L")]),
    ),
    "progressive MPO": (
        "JPEG",
        lambda: with_segments(saved(noise("RGB"), "JPEG", progressive=True, subsampling=0), mpf_segment()),
    ),
    "MPO in three scans": (
        "JPEG",
        lambda: with_segments(jpeg_in_three_scans(SIDE // 32 * 32, SIDE // 32 * 32), mpf_segment()),
    ),
    "progressive CMYK JPEG": ("JPEG", lambda: saved(noise("CMYK"), "JPEG", progressive=True)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory from Linux's /proc")
@pytest.mark.parametrize("what", PICTURES)
def test_decoding_takes_no_more_memory_than_is_reckoned_with(what: str) -> None:
    kind, make = PICTURES[what]
    process = subprocess.run(
        [sys.executable, "-c", MEASURE], input=make(), capture_output=True, check=True, env=ENVIRONMENT
    )
    assert int(process.stdout) < BYTES_PER_PIXEL.get(kind, OTHERS_BYTES_PER_PIXEL) * SIDE * SIDE


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_picture_laid_on_white_in_strips_has_the_pixels_of_one_laid_on_it_as_a_whole(mode: str) -> None:
    picture = noise(mode).resize((700, 801))
    white = Image.new("RGBA", picture.size, "white")
    whole = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    assert images.decode(saved(picture, "PNG")).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("kind", "mode", "pixels"),
    [("PNG", "RGB", 25_000_000), ("PNG", "RGBA", 25_000_000), ("WEBP", "RGB", 12_500_000)],
)
def test_how_many_pixels_are_decoded_at_once_depends_on_what_they_take(
    kind: str, mode: str, pixels: int
) -> None:
    side = 6000
    data = saved(Image.new(mode, (side, side)), kind)
    with pytest.raises(images.PictureTooLarge, match=f"at most {pixels:,} in all can be decoded at once"):
        images.prepare(data, WANTED)


def test_the_setting_of_a_gateway_limits_the_pixels_and_the_memory_for_them() -> None:
    limits = images.Limits.of_requests(max_bytes=2**20, max_decoded_pixels=1_000_000)
    just = Image.new("RGBA", (1000, 1000))
    assert images.prepare(saved(just, "PNG"), WANTED, limits).shape == (24, 24, 3)
    for kind, most in (("PNG", 1_000_000), ("WEBP", 500_000)):
        larger = saved(Image.new("RGBA", (1001, 1000)), kind)
        with pytest.raises(images.PictureTooLarge, match=f"at most {most:,} in all can be decoded at once"):
            images.prepare(larger, WANTED, limits)
    baseline = saved(Image.new("RGB", (4000, 4000)), "JPEG")
    assert images.prepare(baseline, WANTED, limits).shape == (24, 24, 3)  # at an eighth
    assert images.Limits.of_requests(images.DEFAULT_LIMITS.max_bytes, 25_000_000) == images.DEFAULT_LIMITS


@pytest.mark.parametrize("segments", [b"", mpf_segment()], ids=["JPEG", "MPO"])
def test_a_jpeg_of_several_scans_counts_at_its_full_size_since_all_of_it_is_held(segments: bytes) -> None:
    side = 1600
    data = with_segments(jpeg_in_three_scans(side, side), segments)
    assert images.prepare(data, WANTED).tolist() == [[[128, 128, 128]] * 24] * 24
    narrow = images.Limits(max_decoded_bytes=8 * (side * side - 1))
    with pytest.raises(images.PictureTooLarge, match="decoded at once"):
        images.prepare(data, WANTED, narrow)
    one_scan = with_segments(saved(Image.new("RGB", (side, side), 128), "JPEG", subsampling=0), segments)
    assert images.prepare(one_scan, WANTED, narrow).shape == (24, 24, 3)


def test_a_tiff_whose_tiles_are_far_larger_than_the_picture_is_refused_before_one_is_decoded() -> None:
    assert images.prepare(tiff_of_tiles(16, 16, tile=2048), WANTED).shape == (24, 24, 3)
    with pytest.raises(
        images.PictureTooLarge, match="tiles of 2,064 x 2,064 pixels, which lie mostly outside"
    ):
        images.prepare(tiff_of_tiles(16, 16, tile=2064), WANTED)


def test_a_tiff_of_one_column_in_wide_tiles_is_refused_since_all_of_each_tile_would_be_decoded() -> None:
    with pytest.raises(images.PictureTooLarge, match="which lie mostly outside"):
        images.prepare(tiff_of_tiles(1, 100_000, tile=1024), WANTED)
