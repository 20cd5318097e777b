"""Writes the figures as Markdown tables, and puts them into docs/performance.md."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from pages import spread

_REPOSITORY = Path(__file__).parents[3]
PAGE = _REPOSITORY / "docs" / "performance.md"
README = _REPOSITORY / "README.md"
#: The beginning of the line in the README that has the figures of `HEADLINE_ROW`.
_HEADLINE = "| pictures of 512 pixels a second for each core, with the model |"
_HEADLINE_ROW = "512 px JPEG, 8"
BEGIN, END = "<!-- end to end -->", "<!-- end of end to end -->"


def tables(figures: dict[str, Any]) -> str:
    """One table for each workload, a row for each number of connections and stack."""
    machine, runs = figures["machine"], figures["runs"]
    lines = [
        f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, {machine['date']}, "
        f"commit {figures['commit']}; {figures['seconds']:g} s for each row"
        f"{f', median of {runs} runs with minimum and maximum' if runs > 1 else ''}; the machine's load was "
        f"{machine['load_before']:.1f} before and {figures['load_after']:.1f} after.",
    ]
    workloads = dict.fromkeys(row.rpartition(", ")[0] for rows in figures["stacks"].values() for row in rows)
    for workload in workloads:
        lines += [
            "",
            f"| {workload} | connections | pictures/s | for each core | p50 ms | p99 ms | memory MB "
            "| not 200 | this gateway, times |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [
            _row(name, row, results, figures["stacks"])
            for name, rows in figures["stacks"].items()
            for row, results in rows.items()
            if row.rpartition(", ")[0] == workload
        ]
    names = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    lines += [""] + [f"Versions: {names}."] * bool(names)
    lines += [f"{name} was not measured. {reason}" for name, reason in figures["not_measured"].items()]
    return "\n".join(lines).strip()


def _row(name: str, row: str, results: list[dict[str, float]], stacks: dict[str, Any]) -> str:
    own = stacks.get("this gateway", {}).get(row)
    cells = [
        name,
        row.rpartition(", ")[2],
        spread([each["per_second"] for each in results]),
        spread([1000 / each["cpu_ms"] for each in results if "cpu_ms" in each]),
        spread([each["p50_ms"] for each in results], ".1f"),
        spread([each["p99_ms"] for each in results], ".1f"),
        spread([each["megabytes"] for each in results if "megabytes" in each]),
        f"{sum(each['not_200'] for each in results):.0f}",
        f"{_median(own) / _median(results):.1f}" if own and _median(results) else "-",
    ]
    return "| " + " | ".join(cells) + " |"


def _median(results: list[dict[str, float]]) -> float:
    return median(each["per_second"] for each in results)


#: What the headline compares, and what it says about it: a server of models, and the tutorial's stack.
_OTHERS = {
    "KServe's Python server": "KServe's Python server with the Keras model",
    "tutorial, gRPC with float32": "Flask, gunicorn and TensorFlow with our model server",
}


def headline(figures: dict[str, Any]) -> str | None:
    """The line of the README: this gateway beside others. None unless all were measured."""
    stacks = figures["stacks"]
    names = ("this gateway", *_OTHERS)
    if any(_HEADLINE_ROW not in stacks.get(name, {}) for name in names):
        return None
    ours, *theirs = (
        f"{median(1000 / each['cpu_ms'] for each in stacks[name][_HEADLINE_ROW]):.0f}" for name in names
    )
    others = "; ".join(f"{figure} ({text})" for figure, text in zip(theirs, _OTHERS.values(), strict=True))
    return f"{_HEADLINE} {ours} | {others} | [performance](docs/performance.md) |"


def renewed_readme(readme: str, line: str) -> str:
    """The README with another headline figure."""
    lines = readme.splitlines(keepends=True)
    places = [at for at, text in enumerate(lines) if text.startswith(_HEADLINE)]
    if not places:
        raise SystemExit(f"{README} lacks the line that begins with '{_HEADLINE}'. Add it to its table.")
    lines[places[0]] = line + "\n"
    return "".join(lines)
