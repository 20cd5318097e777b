"""The result of the inspection of a file, and the errors for a file that is refused."""

from __future__ import annotations

from dataclasses import dataclass


class TooCostly(ValueError):  # noqa: N818 - the message continues the sentence "The picture ..."
    """Decoding the file would take far more time or memory than its number of pixels justifies."""


class Damaged(ValueError):  # noqa: N818
    """The structure of the file is one that no program writes."""


class Unsupported(ValueError):  # noqa: N818 - the message continues the sentence "The picture ..."
    """The file is intact, but of a kind that the gateway does not decode."""


@dataclass(frozen=True)
class Structure:
    """The parts of a file that a decoder needs, and the memory for decoding in addition to the pixels."""

    #: The file. If it has much metadata that no pixel depends on, that metadata is removed.
    data: bytes
    #: Width and height, if the inspection reads them. The decoder must read the same values.
    size: tuple[int, int] | None = None
    #: Whether the file is a JPEG with several scans. Its coefficients stay in memory until the last scan.
    several_scans: bool = False
    #: Bytes of memory in addition to those for each pixel.
    held_bytes: int = 0
