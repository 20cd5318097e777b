"""Converts pixels from a picture's own colour profile (ICC) to sRGB.

Phones write photographs in Display P3. Taken for sRGB, their colours look paler than they are.
"""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

#: Profiles of cameras, phones and screens have 500 to 10,000 bytes. Larger ones hold tables for printers and
#: scanners, which take long to compute with.
_MAX_PROFILE_BYTES = 16 * 1024
#: The offset of the colour space in the header of a profile, and the value for RGB (ICC.1:2022, 7.2.6).
_SPACE, _RGB = slice(16, 20), b"RGB "
#: Most photographs have one of a few profiles. Preparing a conversion takes 3 ms of CPU time, applying it to
#: a model's input 1 ms.
_KEPT_CONVERSIONS = 8


def to_srgb(picture: Image.Image) -> Image.Image:
    """Convert an RGB picture from the profile in its `info` to sRGB.

    The picture stays as it is if it has no profile, or one that is damaged, large or not for RGB.
    """
    profile = picture.info.get("icc_profile") or b""
    if len(profile) > _MAX_PROFILE_BYTES or profile[_SPACE] != _RGB:
        return picture
    try:
        converted = ImageCms.applyTransform(picture, _conversion(profile))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # as for damaged EXIF data: the pixels can still be intact
    assert converted is not None  # only in place it is None
    return converted


@lru_cache(_KEPT_CONVERSIONS)
def _conversion(profile: bytes) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    # Without the flag, the conversion keeps the last pixel, which threads would share.
    flags = ImageCms.Flags.NOCACHE
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB", flags=flags)
