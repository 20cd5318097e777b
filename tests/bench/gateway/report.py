"""Writes the figures as Markdown tables, and puts them into docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pages

PAGE = Path(__file__).parents[3] / "docs" / "performance.md"


def tables(figures: dict[str, Any]) -> str:
    """Format the figures as Markdown tables, with ratios."""
    ours, theirs, base = figures["gateway"], figures["reference"], figures["floor"]
    machine = figures["machine"]
    lines = [
        f"{figures['processes']} process{'es' if figures['processes'] > 1 else ''} of each on "
        f"{'core ' + figures['cores'] if figures['cores'] else 'all cores'}; {machine['cores']} cores of "
        f"{machine['cpu']}, Python {machine['python']}, {machine['date']}; windows of "
        f"{figures['seconds']:g} s; the machine's load was {machine['load_before']:.1f} before and "
        f"{figures['load_after']:.1f} after.",
        "",
        "| workload | gateway req/s | p50 / p99 ms | CPU ms | reference req/s | p50 / p99 ms | CPU ms "
        "| ratio | of the floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in ours["rows"].items():
        other = theirs["rows"][name]
        best = base.get(name.split(",")[0])
        cells = [
            name,
            f"{row['per_second']:.0f}",
            f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f}",
            f"{row['cpu_ms']:.1f}",
            f"{other['per_second']:.0f}",
            f"{other['p50_ms']:.1f} / {other['p99_ms']:.1f}",
            f"{other['cpu_ms']:.1f}",
            f"{row['per_second'] / other['per_second']:.1f}" if other["per_second"] else "-",
            f"{100 * row['per_second'] / best['per_second']:.0f} %" if best else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| | gateway | reference |", "|---|---|---|"]
    rows: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("start to ready, s", lambda side: f"{side['ready_seconds']:.2f}"),
        ("memory at rest, proportional, MB", lambda side: f"{side['rest_megabytes']['Pss']:.0f}"),
        ("memory at rest, resident, MB", lambda side: f"{side['rest_megabytes']['Rss']:.0f}"),
        ("memory after the load, proportional, MB", lambda side: f"{side['after_megabytes']['Pss']:.0f}"),
        (
            "bytes to the model per picture",
            lambda side: f"{next(iter(side['rows'].values()))['model_bytes']:,.0f}",
        ),
        ("responses other than 200", lambda side: str(sum(row["not_200"] for row in side["rows"].values()))),
    )
    for label, value in rows:
        lines.append(f"| {label} | {value(ours)} | {value(theirs)} |")
    floors = ", ".join(
        f"{name}: {row['per_second']:.0f} req/s, {row['cpu_ms']:.1f} ms CPU" for name, row in base.items()
    )
    return "\n".join([*lines, "", f"Floor: {floors}."])


def renewed(page: str, figures: dict[str, Any]) -> str:
    """Put the figures between the markers of their setting in the page."""
    setting = f"{figures['processes']} processes, cores {figures['cores'] or 'all'}"
    return pages.renewed(page, f"<!-- figures: {setting} -->", tables(figures), "<!-- end of figures -->")
