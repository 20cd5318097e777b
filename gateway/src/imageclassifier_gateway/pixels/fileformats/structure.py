"""What is read of a file's structure, and why it may be refused."""

from __future__ import annotations

from dataclasses import dataclass


class TooCostly(ValueError):  # noqa: N818 - the sentence that the client reads follows "The picture"
    """Decoding the file would take far more time or memory than its pixels are worth."""


class Damaged(ValueError):  # noqa: N818
    """The file is built as no program writes it."""


@dataclass(frozen=True)
class Structure:
    """What a decoder needs of a file, and what decoding holds in memory apart from the pixels."""

    #: The file, without the metadata that no pixel depends on if there is much of it.
    data: bytes
    #: Width and height, where this reader looks for them: a decoder must see the same.
    size: tuple[int, int] | None = None
    #: A JPEG's coefficients stay in memory until its last scan.
    several_scans: bool = False
    #: Bytes beside what decoding takes for each pixel.
    held_bytes: int = 0
