"""Writes the figures as Markdown tables, and puts them into docs/performance.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"
BEGIN, END = "<!-- model variants -->", "<!-- end of model variants -->"


def tables(figures: dict[str, Any]) -> str:
    """A table of times for each number of cores, and one of the differences between the variants."""
    machine, rows = figures["machine"], figures["rows"]
    keys = list(dict.fromkeys(key for row in rows.values() for key in row["loads"]))
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, {machine['date']}; the least of {figures['rounds']} "
        f"rounds of {figures['seconds']:g} s; the machine's load was {machine['load_before']:.1f} before and "
        f"{figures['load_after']:.1f} after."
    ]
    for cores in dict.fromkeys(key.split()[0] for key in keys):
        own = [key for key in keys if key.split()[0] == cores]
        lines += [
            "",
            f"| {cores} core{'s' if cores != '1' else ''}: ms for a picture (CPU ms) | "
            + " | ".join(map(_load, own))
            + " |",
            "|---" * (len(own) + 1) + "|",
        ]
        for name, row in rows.items():
            cells = [f"{_least(row, key, 'ms'):.1f} ({_least(row, key, 'cpu_ms'):.1f})" for key in own]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"| {figures['pictures']} photographs of the training | correct | labels unlike the first row's "
        "| largest difference of a probability |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(
            f"| {name} | {row['correct']} | {row['other_labels']} | {row['largest_difference']:.2g} |"
        )
    lines += ["", *(f"Not measured: {name}. {reason}" for name, reason in figures["not_measured"].items())]
    return "\n".join(lines).strip()


def _load(key: str) -> str:
    _, batch, calls = key.split()
    if calls != "1":
        return f"{calls} calls at once, 1 picture each"
    return f"{batch} picture{'s' if batch != '1' else ''} in a call"


def _least(row: dict[str, Any], key: str, name: str) -> float:
    return min(float(each[name]) for each in row["loads"][key])
