"""The figures as a table on the terminal, as a table of docs/rollouts.md, and as JSON values."""

from __future__ import annotations

import dataclasses
import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import changes
from api import Api
from changes import Changes
from rows import Result

from laptop import places

PAGE = places.REPOSITORY / "docs/rollouts.md"
BEGIN, END = "<!-- made by make bench-rollouts: begin -->\n", "<!-- made by make bench-rollouts: end -->\n"


@dataclass(frozen=True)
class Report:
    """All figures of a run."""

    machine: str
    date: str
    per_second: float
    rows: Sequence[Result]
    changes: Changes | None

    def values(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def markdown(self) -> str:
        return "\n".join(_lines(self)) + "\n"


def machine(api: Api) -> str:
    """A description, such as `2 cores of an Intel Xeon, 24 GiB, Kubernetes v1.34.1, one node`."""
    nodes = api.get("/api/v1/nodes")["items"]
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = {line.partition(": ")[2] for line in cpuinfo.splitlines() if line.startswith("model name")}
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    version = nodes[0]["status"]["nodeInfo"]["kubeletVersion"]
    return (
        f"{os.cpu_count()} cores ({', '.join(sorted(models)) or platform.machine()}), {gibibytes:.0f} GiB, "
        f"Kind with Kubernetes {version}, {len(nodes)} node{'s' if len(nodes) > 1 else ''}"
    )


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def renew_page(table: str, begin: str = BEGIN, end: str = END) -> None:
    """Replace the text between two markers of docs/rollouts.md."""
    head, rest = PAGE.read_text(encoding="utf-8").split(begin)
    _, tail = rest.split(end)
    PAGE.write_text(f"{head}{begin}{table}{end}{tail}", encoding="utf-8")


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.date}, {report.machine}; cluster, load generator and this program share the cores."
    yield ""
    yield "| Rollout | requests | failed | answered by another version | ended | after | p50 | p99 |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in report.rows:
        yield (
            f"| {row.name} | {row.requests:,} | {row.failed} | {row.candidate_failed} | {row.end} "
            f"| {row.seconds:.0f} s | {_ratio(row.during.p50_ms, row.rest.p50_ms)} "
            f"| {_ratio(row.during.p99_ms, row.rest.p99_ms)} |"
        )
    if report.changes is not None:
        timed, lost = report.changes, len(report.changes.failures)
        yield ""
        yield (
            f"{len(timed.from_write_seconds)} rollbacks to the warm version under the same load "
            f"({timed.requests:,} requests, {lost} failed), until the last gateway used the new routing:"
        )
        yield ""
        yield f"- from the routing write: {changes.in_words(timed.from_write_seconds)};"
        yield (
            f"- from the start of `kubectl patch`: {changes.in_words(timed.from_patch_seconds)} "
            f"(kubectl itself: {changes.in_words(timed.kubectl_seconds)})."
        )


def _ratio(during_ms: float, rest_ms: float) -> str:
    return f"{during_ms:.1f} ms, {during_ms / rest_ms:.2f} × rest"
