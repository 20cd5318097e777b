"""Decodes a costly picture in pieces, so that the caller can pause between them."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

#: Called between two pieces.
Pause = Callable[[], None]
#: The bytes of the file in one piece. A piece of a bomb has a thousand times as many bytes of pixels.
_PIECE_BYTES = 4096


def no_pause() -> None:
    """For callers that do not pause."""


def load(picture: Image.Image, pause: Pause) -> None:
    """Decode the pixels of an opened picture. Raises as Pillow's `load` does.

    Only PNG files are decoded in pieces: their decoder gets the file block by block. The others decode fast
    for their size, or in one call.
    """
    read: Callable[[int], bytes] | None = getattr(picture, "load_read", None)
    if pause is no_pause or read is None:
        picture.load()
        return
    picture.decodermaxblock = _PIECE_BYTES  # type: ignore[attr-defined]
    picture.load_read = _after(pause, read)  # type: ignore[attr-defined]
    try:
        picture.load()
    finally:
        # The cycle of references would keep the pixels until Python collects garbage.
        del picture.load_read  # type: ignore[attr-defined]


def _after(pause: Pause, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def read_after_pause(size: int) -> bytes:
        pause()
        return read(size)

    return read_after_pause
