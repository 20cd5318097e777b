"""Decodes a costly picture in pieces, so that the caller can pause between them."""

from __future__ import annotations

from collections.abc import Callable

from PIL import ImageFile

#: Called between two pieces.
Pause = Callable[[], None]
#: The bytes of the file in one piece. A piece of a bomb has a thousand times as many bytes of pixels.
_PIECE_BYTES = 4096
#: Pillow gets all pixels of these formats in one call, and then copies them. The copy takes a third of the
#: time of an AVIF file of 13 megapixels, 75 of 230 ms.
_COPIED = ("AVIF", "WEBP")
COPIED_PIECE_BYTES = 1024 * 1024


def no_pause() -> None:
    """For callers that do not pause."""


def load(picture: ImageFile.ImageFile, pause: Pause) -> None:
    """Decode the pixels of an opened picture. Raises as Pillow's `load` does.

    The decoder of PNG files gets the file block by block. AVIF and WebP files are decoded in one call, and
    their pixels are copied in pieces afterwards. Other formats decode fast for their size, or in one call.
    """
    read, piece_bytes = _reader(picture)
    if pause is no_pause or read is None:
        picture.load()
        return
    picture.decodermaxblock = piece_bytes
    picture.load_read = _after(pause, read)  # type: ignore[attr-defined]
    try:
        picture.load()
    finally:
        # The cycle of references would keep the pixels until Python collects garbage.
        del picture.load_read  # type: ignore[attr-defined]


def _reader(picture: ImageFile.ImageFile) -> tuple[Callable[[int], bytes] | None, int]:
    """What the decoder of the picture reads with, and how many bytes at a time; None: in one call."""
    if picture.format in _COPIED:
        # `fp` is the file until it is decoded, and then the pixels.
        return (lambda size: picture.fp.read(size) if picture.fp else b""), COPIED_PIECE_BYTES
    return getattr(picture, "load_read", None), _PIECE_BYTES


def _after(pause: Pause, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def read_after_pause(size: int) -> bytes:
        pause()
        return read(size)

    return read_after_pause
