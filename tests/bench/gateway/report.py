"""Writes the figures as Markdown tables, and puts them into docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import pages

Runs = list[dict[str, float]]
"""The figures of one row, in the order of the runs."""
PAGE = Path(__file__).parents[3] / "docs" / "performance.md"


def tables(figures: dict[str, Any]) -> str:
    """Format the figures as Markdown tables, with ratios."""
    ours, theirs, base = figures["gateway"], figures["reference"], figures["floor"]
    machine = figures["machine"]
    lines = [
        f"{figures['processes']} process{'es' if figures['processes'] > 1 else ''} of each on "
        f"{'core ' + figures['cores'] if figures['cores'] else 'all cores'}; {machine['cores']} cores of "
        f"{machine['cpu']}, Python {machine['python']}, {machine['date']}; the medians of "
        f"{figures['runs']} runs of {figures['seconds']:g} s, the ratios with minimum and maximum; the "
        f"machine's load was {machine['load_before']:.1f} before and {figures['load_after']:.1f} after.",
        "",
        "| workload | gateway req/s | p50 / p99 ms | CPU ms | reference req/s | p50 / p99 ms | CPU ms "
        "| ratio | of the floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, own in ours["rows"].items():
        other = theirs["rows"][name]
        floor = base.get(name.split(",")[0])
        cells = [
            name,
            *_figures(own),
            *_figures(other),
            _ratio(own, other, 1, ".1f"),
            f"{_ratio(own, floor, 100, '.0f')} %" if floor else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| | gateway | reference |", "|---|---|---|"]
    rows: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("start to ready, s", lambda side: f"{side['ready_seconds']:.2f}"),
        ("memory at rest, proportional, MB", lambda side: f"{side['rest']['Pss']:.0f}"),
        ("memory at rest, resident, MB", lambda side: f"{side['rest']['Rss']:.0f}"),
        ("memory after the load, proportional, MB", lambda side: f"{side['after']['Pss']:.0f}"),
        ("bytes to the model per picture", lambda side: f"{_all(side)[0]['model_bytes']:,.0f}"),
        (
            "responses other than 200, of all",
            lambda side: (
                f"{sum(run['not_200'] for run in _all(side))} of "
                f"{sum(run['not_200'] + run['answered'] for run in _all(side)):,}"
            ),
        ),
    )
    for label, value in rows:
        lines.append(f"| {label} | {value(ours)} | {value(theirs)} |")
    floors = ", ".join(
        f"{name}: {_median(runs, 'per_second'):.0f} req/s, {_median(runs, 'cpu_ms'):.1f} ms CPU"
        for name, runs in base.items()
    )
    return "\n".join([*lines, "", f"Floor: {floors}."])


def _figures(runs: Runs) -> list[str]:
    """The cells of one side."""
    return [
        f"{_median(runs, 'per_second'):.0f}",
        f"{_median(runs, 'p50_ms'):.1f} / {_median(runs, 'p99_ms'):.1f}",
        f"{_median(runs, 'cpu_ms'):.1f}",
    ]


def _ratio(own: Runs, other: Runs, factor: float, form: str) -> str:
    """The ratio of the rates in each run: the median, the least and the most. `-` if a rate is zero."""
    rates = [(a["per_second"], b["per_second"]) for a, b in zip(own, other, strict=True)]
    if not all(b for _, b in rates):
        return "-"
    return pages.spread([factor * a / b for a, b in rates], form)


def _median(runs: Runs, key: str) -> float:
    return median(run[key] for run in runs)


def _all(side: Any) -> Runs:
    return [run for runs in side["rows"].values() for run in runs]


def renewed(page: str, figures: dict[str, Any]) -> str:
    """Put the figures between the markers of their setting in the page."""
    setting = f"{figures['processes']} processes, cores {figures['cores'] or 'all'}"
    return pages.renewed(page, f"<!-- figures: {setting} -->", tables(figures), "<!-- end of figures -->")
