"""The figures of the benchmark, as a table on the terminal and one of docs/performance.md."""

from __future__ import annotations

import datetime
import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installed_operator import memory_limit
from processes import Memory

PAGE = Path(__file__).parents[3] / "docs/performance.md"
BEGIN, END = "<!-- made by make bench-scale: begin -->\n", "<!-- made by make bench-scale: end -->\n"
READS = ("get ", "list ")
NO_MEMORY = Memory(0, 0)
MEASURED = "measured"


@dataclass(frozen=True)
class Times:
    """Durations in seconds."""

    seconds: Sequence[float] = ()

    def __str__(self) -> str:
        if not self.seconds:
            return "-"
        ordered = sorted(self.seconds)
        p50, p95 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95))
        return f"{p50:.2f} / {p95:.2f} s"


@dataclass
class Figures:
    """The measurements of one run."""

    objects: int
    namespaces: int
    log: Path
    rest_seconds: float
    floor_seconds: float = 0.0
    floor_cpu: dict[str, float] = field(default_factory=dict)
    children_seconds: float = 0.0
    all_ready_seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    memory: Memory = NO_MEMORY
    rest_cpu: float = 0.0
    rest_requests: Counter[str] = field(default_factory=Counter)
    bumps: Times = Times()
    busy_bumps: Times = Times()
    others: Times = Times()
    silent: int = 0
    rollbacks: Times = Times()
    start_seconds: float = 0.0
    start_memory: Memory = NO_MEMORY
    start_cpu: float = 0.0
    restarts: int = 0
    measured: str = field(default_factory=lambda: machine())
    """The date, the machine, and its load before the run."""
    failed: list[str] = field(default_factory=list)
    """The steps that have no figures because they failed."""

    @property
    def title(self) -> str:
        """The head of its column."""
        places = "" if self.namespaces == 1 else f" in {self.namespaces} namespaces"
        return f"{self.objects:,}{places}"

    @property
    def writes(self) -> int:
        return sum(count for what, count in self.requests.items() if not what.startswith(READS))

    @property
    def reads(self) -> int:
        return sum(count for what, count in self.requests.items() if what.startswith(READS))


ROWS: dict[str, Callable[[Figures], str]] = {
    "the floor: all Deployments available": lambda f: _seconds(f.floor_seconds),
    "all Ready": lambda f: f"{f.all_ready_seconds:.1f} s",
    "**all Ready, times the floor**": lambda f: _ratio(f.all_ready_seconds, f.floor_seconds),
    "all our children from a plain client": lambda f: _seconds(f.children_seconds),
    "**all Ready, times that**": lambda f: _ratio(f.all_ready_seconds, f.children_seconds),
    "writes / reads of each object": lambda f: f"{f.writes / f.objects:.1f} / {f.reads / f.objects:.1f}",
    "CPU of the operator until all Ready": lambda f: f"{f.cpu.get('operator', 0):.1f} s",
    "CPU of API server and etcd (floor)": lambda f: _pair(f, "kube-apiserver", "etcd"),
    "CPU of controller manager and scheduler (floor)": lambda f: _pair(
        f, "kube-controller-manager", "kube-scheduler"
    ),
    "memory of the operator afterwards / at most": lambda f: f"{f.memory.now:.0f} / {f.memory.peak:.0f} MiB",
    "at rest: CPU of the operator": lambda f: f"{100 * f.rest_cpu:.1f} % of a core",
    "at rest: requests a minute beside the Lease": lambda f: (
        f"{60 / f.rest_seconds * sum(f.rest_requests.values()):.0f}"
    ),
    "bump at rest, p50 / p95": lambda f: str(f.bumps),
    "bump while 100 others roll out, p50 / p95": lambda f: str(f.busy_bumps),
    "those 100, p50 / p95": lambda f: str(f.others),
    "rollback with up to 500 silent gateways, p50 / p95": lambda f: str(f.rollbacks),
    "start until a bump serves": lambda f: _seconds(f.start_seconds),
    "memory after a start / at most": lambda f: f"{f.start_memory.now:.0f} / {f.start_memory.peak:.0f} MiB",
    "times that the operator lost its Lease": lambda f: str(f.restarts),
    "CPU of a start": lambda f: f"{f.start_cpu:.1f} s",
}


def _ratio(seconds: float, reference: float) -> str:
    return f"**{seconds / reference:.2f}**" if reference else "-"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds else "-"


def _pair(figures: Figures, *names: str) -> str:
    used, floor = (sum(cpu.get(name, 0) for name in names) for cpu in (figures.cpu, figures.floor_cpu))
    return f"{used:.0f} s ({floor:.0f} s)" if floor else f"{used:.0f} s"


def show(figures: Figures) -> None:
    """Print all figures of one run."""
    print(f"\n{figures.title} classifiers; {figures.measured}")
    for name, value in ROWS.items():
        print(f"  {name.replace('**', ''):<52}{value(figures).replace('**', '')}")
    for title, counted in (
        ("requests until all were Ready, and after", figures.requests),
        (f"requests in {figures.rest_seconds:g} s at rest", figures.rest_requests),
    ):
        print(f"  {title}:")
        for what, count in sorted(counted.items()):
            print(f"    {count:>8}  {count / figures.objects:7.2f}  {what}")
    print("  CPU:", {name: round(seconds, 1) for name, seconds in figures.cpu.items()}, flush=True)
    peak = max(figures.memory.peak, figures.start_memory.peak)
    if peak > memory_limit():
        print(f"  MORE MEMORY THAN THE INSTALLATION'S LIMIT of {memory_limit():.0f} MiB")


def machine() -> str:
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{date}, {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}"


def renew_page(runs: Sequence[Figures]) -> None:
    """Renew the columns of these runs between the markers of docs/performance.md; keep the other columns."""
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    old, tail = rest.split(END)
    columns = _columns(old) | {run.title: _column(run) for run in runs}
    titles = sorted(columns, key=_order)
    lines = [
        f"| | {' | '.join(titles)} |",
        f"|---{'|---' * len(titles)}|",
        *(
            f"| {name} | {' | '.join(columns[title].get(name, '-') for title in titles)} |"
            for name in (MEASURED, *ROWS)
        ),
    ]
    PAGE.write_text("\n".join([head + BEGIN.strip(), *lines, END + tail]), encoding="utf-8")


def _column(run: Figures) -> dict[str, str]:
    return {MEASURED: run.measured, **{name: value(run) for name, value in ROWS.items()}}


def _order(title: str) -> list[int]:
    """The numbers in the head of a column: those of classifiers and of namespaces."""
    return [int(word.replace(",", "")) for word in title.split() if word[0].isdigit()]


def _columns(table: str) -> dict[str, dict[str, str]]:
    """Read a table that `renew_page` wrote: head of the column -> name of the row -> value."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| ")
    ]
    if not cells:
        return {}
    header, *rows = cells
    return {title: {row[0]: row[place] for row in rows} for place, title in enumerate(header) if place}
