"""The EXIF orientation of a picture: which way it is turned, and how it becomes upright."""

from __future__ import annotations

from typing import Literal

from PIL import ExifTags, Image

#: For each EXIF orientation (CIPA DC-008, tag 0x0112), the operation that turns the stored pixels upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_SIDEWAYS = (5, 6, 7, 8)
#: Pillow reads all EXIF entries, at 7 us each. Cameras write up to 100.
_MAX_EXIF_ENTRIES = 1_000


def orientation(picture: Image.Image) -> int:
    """The orientation as EXIF numbers it, 1 to 8: 1 is upright. It is 1 if the EXIF data is damaged."""
    try:
        if _exif_entries(picture.info.get("exif", b"")) > _MAX_EXIF_ENTRIES:
            return 1
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        # Pillow raises nearly any exception for damaged EXIF data. The pixels can still be intact.
        return 1


def is_sideways(orientation: int) -> bool:
    """Whether the height of the stored pixels is the width of the upright picture."""
    return orientation in _TURNED_SIDEWAYS


def turn_upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Turn or mirror the stored pixels."""
    method = _UPRIGHT.get(orientation)
    return picture if method is None else picture.transpose(method)


def _exif_entries(exif: bytes) -> int:
    """The number of entries in the first directory of EXIF data (CIPA DC-008, 4.6.2)."""
    exif = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
    start = int.from_bytes(exif[4:8], order)
    return int.from_bytes(exif[start : start + 2], order)
