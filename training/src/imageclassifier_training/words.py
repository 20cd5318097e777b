"""Puts counts into sentences, in the singular or the plural."""

from __future__ import annotations


def counted(count: int, one: str, several: str = "") -> str:
    """A number and the words after it: `1 image`, `1,574 images`.

    `several` are the words for other numbers than one (default: `one` with an s), such as `classes`.
    """
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
