"""Decodes and resizes pictures to the input of a model, for serving and for training.

Limits are checked on the header, before any pixel is decoded. The module needs only numpy and Pillow; it
reads HEIC if pillow-heif is installed, and AVIF if Pillow was built with libavif. Every function is
thread-safe.

The contract of a model says how its pictures are prepared. Every function therefore gives the same pixels for
the same input, whatever the release (`tests/gateway/pixels/image_vectors`).

Known limitation: only the first frame or page of a picture is read.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

# The plugins are imported by name. Otherwise Pillow would load all its plugins while a request waits.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from ..contract import ModelInput
from .colour_profile import to_srgb
from .decoding_memory import size_and_bytes_per_pixel
from .decoding_time import decoding_seconds
from .fileformats import Damaged, Structure, TooCostly, Unsupported, inspect
from .pieces import Pause, load, no_pause
from .rgb import to_rgb
from .upright import is_sideways, orientation, turn_upright

try:
    import pillow_heif
except ImportError:
    _HEIF: tuple[str, ...] = ()
else:
    # The threads of one picture would use more than the CPU limit of a pod, and the kernel then stops all.
    pillow_heif.register_heif_opener(decode_threads=1)
    _HEIF = ("HEIF",)

#: AVIF comes before HEIF: libheif opens an AVIF file of the brand `mif1`, but cannot decode it.
_AVIF: tuple[str, ...] = ("AVIF",) if AvifImagePlugin.SUPPORTED else ()
#: The gateway has a thread for each core already.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

#: Pillow's names of the supported formats. No other decoder gets a user's bytes.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", *_AVIF, *_HEIF)

#: The largest cameras of phones have 200 megapixels (16,320 x 12,240).
_MAX_PIXELS = 210_000_000
#: For a picture with transparency, a palette or in grey, which is converted to RGB.
_BYTES_PER_PIXEL = 8
# Pillow warns above its own limit, 89 million, even if a JPEG is decoded at an eighth of its size.
Image.MAX_IMAGE_PIXELS = _MAX_PIXELS

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class PictureError(ValueError):
    """A picture that cannot be used. The client gets the message."""


class NotAPicture(PictureError):  # noqa: N818
    """A file in none of the supported formats."""


class BrokenPicture(PictureError):  # noqa: N818
    """A picture that is truncated or damaged."""


class UnsupportedPicture(PictureError):  # noqa: N818
    """An intact picture of a kind, or with colours, that cannot be converted to RGB."""


class PictureTooLarge(PictureError):  # noqa: N818
    """A picture with more bytes or pixels than allowed."""


class CostlyPicture(Exception):  # noqa: N818
    """A picture that costs more than the budget. A call with a larger budget can decode it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"about {seconds:.3f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Budget:
    """Limits on the estimated time and memory for one picture."""

    seconds: float
    decoded_bytes: int

    def check(self, seconds: float, decoded_bytes: int) -> None:
        """Raise CostlyPicture if an estimate is above its limit."""
        if seconds > self.seconds or decoded_bytes > self.decoded_bytes:
            raise CostlyPicture(seconds)


@dataclass(frozen=True)
class Limits:
    """The limits that are checked before decoding.

    `max_pixels` limits the size in the header. `max_decoded_pixels` and `max_decoded_bytes` limit the memory
    for decoding. A picture above `max_decoded_pixels` is accepted only if it is a JPEG of one scan, which is
    decoded at a reduced scale.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = _MAX_PIXELS
    max_decoded_pixels: int = 25_000_000
    max_decoded_bytes: int = 200_000_000

    @classmethod
    def of_requests(cls, max_bytes: int, max_decoded_pixels: int) -> Self:
        """The limits in the settings of a gateway, with the memory for the costliest usual pixels."""
        return cls(
            max_bytes=max_bytes,
            max_decoded_pixels=max_decoded_pixels,
            max_decoded_bytes=_BYTES_PER_PIXEL * max_decoded_pixels,
        )


DEFAULT_LIMITS = Limits()


def prepare(
    data: bytes,
    wanted: ModelInput,
    limits: Limits = DEFAULT_LIMITS,
    budget: Budget | None = None,
    pause: Pause = no_pause,
) -> NDArray[np.uint8]:
    """Decode a picture and bring it to the wanted size: RGB pixels, uint8 `(height, width, 3)`.

    `pause` is called between the pieces of a picture that is decoded in pieces.

    Raises NotAPicture, BrokenPicture, UnsupportedPicture or PictureTooLarge, all of them PictureError; with a
    budget also CostlyPicture, before any pixel is decoded.
    """
    return np.asarray(fit(decode(data, wanted, limits, budget, pause), wanted))


def decode(
    data: bytes,
    wanted: ModelInput | None = None,
    limits: Limits = DEFAULT_LIMITS,
    budget: Budget | None = None,
    pause: Pause = no_pause,
) -> Image.Image:
    """Decode a picture to upright RGB, at its full size or, for large JPEGs, close to the wanted size.

    Raises as `prepare` does.
    """
    if not data:
        raise NotAPicture("The picture is empty (0 bytes).")
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(
            f"The picture has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted."
        )
    try:
        structure = inspect(data)
        with Image.open(io.BytesIO(structure.data), formats=FORMATS) as picture:
            stored = picture.size
            _check_size(stored, limits.max_pixels, "accepted")
            _check_same_size(stored, structure)
            if wanted is not None and isinstance(picture, JpegImagePlugin.JpegImageFile):
                sideways = is_sideways(orientation(picture))
                width, height = _scaled(stored[::-1] if sideways else stored, wanted)
                margin = wanted.decode.margin
                least = (math.ceil(margin * width), math.ceil(margin * height))
                picture.draft(None, least[::-1] if sideways else least)
            held_bytes = _check_memory(picture, stored, structure, limits)
            if budget is not None:
                seconds = decoding_seconds(picture, stored, structure.several_scans, len(structure.data))
                budget.check(seconds, held_bytes)
            load(picture, pause)
            turned = orientation(picture)
            return turn_upright(to_rgb(picture, pause), turned)
    except (PictureError, CostlyPicture):
        raise
    except UnidentifiedImageError:
        raise NotAPicture(_what_it_is_not(data)) from None
    except TooCostly as reason:
        raise PictureTooLarge(f"The picture {reason}") from None
    except Unsupported as reason:
        raise UnsupportedPicture(f"The picture {reason}") from None
    except Damaged as reason:
        raise BrokenPicture(f"The picture is damaged ({reason}).") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureTooLarge(
            f"The picture has more than the accepted {limits.max_pixels:,} pixels."
        ) from None
    except MemoryError:
        raise PictureTooLarge("The picture needs more memory to decode than the gateway has.") from None
    except Exception as error:
        # Pillow's decoders report damage with nearly any built-in exception (OSError, SyntaxError,
        # ValueError, struct.error, IndexError, EOFError, zlib.error, ...). All mean the same to the client.
        raise BrokenPicture(f"The picture is truncated or damaged ({_one_line(error)}).") from None


def upright_size(data: bytes) -> tuple[int, int]:
    """The width and height of a picture that `decode` accepts, turned upright; from its header alone."""
    with Image.open(io.BytesIO(inspect(data).data), formats=FORMATS) as picture:
        width, height = picture.size
        return (height, width) if is_sideways(orientation(picture)) else (width, height)


def fit(picture: Image.Image, wanted: ModelInput) -> Image.Image:
    """Resize an RGB picture to the wanted size, with antialiasing except for `nearest`.

    `squash` changes the aspect ratio, `crop` cuts out the centre, `pad` adds black borders. The colours are
    converted to sRGB if the contract says so. This comes last, because it costs most for each pixel.
    """
    fitted = _resized(picture, wanted)
    return to_srgb(fitted) if wanted.decode.profile == "srgb" else fitted


def _resized(picture: Image.Image, wanted: ModelInput) -> Image.Image:
    resample = _RESAMPLE[wanted.resize]
    size = (wanted.width, wanted.height)
    if wanted.fit == "squash":
        return picture.resize(size, resample)
    if wanted.fit == "crop":
        scale = min(picture.width / wanted.width, picture.height / wanted.height)
        # Without min(), rounding could make the box one bit larger than the picture.
        width = min(float(picture.width), wanted.width * scale)
        height = min(float(picture.height), wanted.height * scale)
        left, top = (picture.width - width) / 2, (picture.height - height) / 2
        return picture.resize(size, resample, box=(left, top, left + width, top + height))
    scaled = _scaled(picture.size, wanted)
    padded = Image.new("RGB", size)
    padded.info = picture.info
    padded.paste(
        picture.resize(scaled, resample), ((wanted.width - scaled[0]) // 2, (wanted.height - scaled[1]) // 2)
    )
    return padded


def _scaled(size: tuple[int, int], wanted: ModelInput) -> tuple[int, int]:
    """The width and height of the whole upright picture after scaling for `wanted.fit`."""
    if wanted.fit == "squash":
        return wanted.width, wanted.height
    scales = (wanted.width / size[0], wanted.height / size[1])
    scale = max(scales) if wanted.fit == "crop" else min(scales)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _check_size(size: tuple[int, int], most: int, what: str) -> None:
    if size[0] * size[1] > most:
        raise PictureTooLarge(
            f"The picture has {size[0]:,} x {size[1]:,} pixels; at most {most:,} in all can be {what}."
        )


def _check_same_size(stored: tuple[int, int], structure: Structure) -> None:
    if structure.size not in (None, stored):
        raise BrokenPicture("The picture is damaged (it contains two different sizes).")


def _check_memory(picture: Image.Image, stored: tuple[int, int], structure: Structure, limits: Limits) -> int:
    """The bytes of memory for decoding. `stored` is the size in the file.

    Raises PictureTooLarge if they exceed the limits.
    """
    size, each = size_and_bytes_per_pixel(picture, stored, structure)
    left = max(0, limits.max_decoded_bytes - structure.held_bytes)
    _check_size(size, min(limits.max_decoded_pixels, left // each), "decoded at once")
    return size[0] * size[1] * each + structure.held_bytes


def _what_it_is_not(data: bytes) -> str:
    start = data[:512].lstrip()
    if start.startswith(b"<"):
        return "The file is HTML, XML or SVG text and not a picture."
    if start.startswith(b"%PDF"):
        return "The file is a PDF document and not a picture."
    known = ", ".join("HEIC" if name == "HEIF" else name for name in FORMATS)
    return f"The file is not a picture in a supported format ({known})."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
