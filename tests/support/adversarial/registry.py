"""The table of all costly bodies, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Body(NamedTuple):
    """One request's Content-Type and body."""

    content_type: str
    data: bytes


#: Name -> a function from a size in bytes to a body of about that size. Small sizes are rounded up.
BODIES: dict[str, Callable[[int], Body]] = {}

#: The cost of these bodies depends on their number of pixels, not on their size in bytes.
RICH_IN_PIXELS = frozenset(
    (
        "png-bomb",
        "gif-bomb",
        "gif-large-screen",
        "webp-bomb",
        "tiff-bomb",
        "bmp-bomb",
        "heic-bomb",
        "avif-bomb",
    )
)


def body(name: str, content_type: str) -> Callable[[Callable[[int], bytes]], Callable[[int], bytes]]:
    """Add the decorated function to BODIES."""

    def register(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        BODIES[name] = lambda size: Body(content_type, make(size))
        return make

    return register


def repeat(unit: bytes, size: int) -> bytes:
    """`unit`, repeated up to about `size` bytes, and at least once."""
    return unit * max(1, size // len(unit))
