"""Puts the tables of a benchmark into a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def renewed(page: str, begin: str, text: str, end: str) -> str:
    """The page with other text between two markers. Ends the program if the page lacks the first one."""
    before, found, rest = page.partition(begin)
    if not found:
        raise SystemExit(f"The page lacks the line '{begin}'. Add it where the tables belong.")
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


def spread(values: Sequence[float], form: str = ".0f") -> str:
    """The median, with the minimum and the maximum of several values. `-` without any value."""
    if not values:
        return "-"
    middle = f"{median(values):{form}}"
    return middle if len(values) == 1 else f"{middle} ({min(values):{form}} to {max(values):{form}})"
