"""GIF files."""

from __future__ import annotations

import struct

from PIL import Image

from .drawing import saved, side_of
from .registry import body, repeat


def _gif(width: int, height: int, frame_width: int, frame_height: int, before: bytes, after: bytes) -> bytes:
    frame = saved(Image.new("L", (frame_width, frame_height)), "GIF")
    palette = 3 << (frame[10] & 7) + 1 if frame[10] & 128 else 0
    at = frame.index(b",", 13 + palette)
    head = bytearray(frame[:at])
    struct.pack_into("<HH", head, 6, width, height)
    return bytes(head) + before + frame[at:-1] + after + b";"


@body("gif-many-frames", "image/gif")
def gif_many_frames(size: int) -> bytes:
    frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0"
    return _gif(64, 64, 64, 64, b"", repeat(frame, size))


@body("gif-comment-in-blocks", "image/gif")
def gif_comment_in_blocks(size: int) -> bytes:
    return _gif(64, 64, 64, 64, b"!\xfe" + repeat(b"\x01x", size) + b"\0", b"")


@body("gif-many-comments", "image/gif")
def gif_many_comments(size: int) -> bytes:
    return _gif(64, 64, 64, 64, repeat(b"!\xfe\x01x\0", size), b"")


@body("gif-junk-before-the-picture", "image/gif")
def gif_junk_before_the_picture(size: int) -> bytes:
    return _gif(64, 64, 64, 64, b"x" * size, b"")


@body("gif-large-screen", "image/gif")
def gif_large_screen(size: int) -> bytes:
    """A frame of a few pixels on a screen of 25 million."""
    return _gif(4_990, 4_990, 16, 16, b"", b"") + bytes(size)


@body("gif-bomb", "image/gif")
def gif_bomb(size: int) -> bytes:
    side = min(side_of(size * 100), 4_992)
    return _gif(side, side, side, side, b"", b"")
