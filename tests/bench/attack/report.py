"""The table of `make attack`, and its place in docs/performance.md. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from good_client import Seen

_BEGIN, _END = "<!-- attacks -->", "<!-- end of attacks -->"

#: The aims: a quantile this many times that at rest at most, and this share of the memory's limit.
MAX_TIMES_AT_REST = 5.0
MAX_MEMORY_SHARE = 0.9


@dataclass(frozen=True)
class Row:
    """One attack: what the good client saw, and what the gateway's container used meanwhile."""

    name: str
    seen: Seen
    peak_bytes: int
    limit_bytes: int
    cpu_seconds: float
    seconds: float
    deaths: int

    def misses(self, rest: Row) -> list[str]:
        """The aims that were missed, in words."""
        missed = []
        if failures := self.seen.failures.total():
            missed.append(f"{failures} failures: {dict(self.seen.failures)}")
        if (times := self.times(rest)) > MAX_TIMES_AT_REST:
            missed.append(f"p99 is {times:.1f} times that at rest")
        if self.peak_bytes > MAX_MEMORY_SHARE * self.limit_bytes:
            missed.append(f"{self.peak_bytes / self.limit_bytes:.0%} of the memory's limit")
        if self.deaths:
            missed.append(f"{self.deaths} processes died")
        return missed

    def times(self, rest: Row) -> float:
        return self.seen.quantile_ms(0.99) / rest.seen.quantile_ms(0.99)


def table(rows: list[Row], machine: str) -> str:
    """The rows as Markdown; the first one is at rest."""
    rest = rows[0]
    lines = [
        machine,
        "",
        "| attack | p50 / p99 ms of the good client | p99 at rest = 1 | its failures | memory at most, MiB "
        "| CPU | processes that died |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        total = len(row.seen.seconds) + row.seen.failures.total()
        cells = [
            row.name,
            f"{row.seen.quantile_ms(0.5):.0f} / {row.seen.quantile_ms(0.99):.0f}",
            f"{row.times(rest):.1f}",
            f"{row.seen.failures.total()} of {total}",
            f"{row.peak_bytes / 2**20:.0f} of {row.limit_bytes / 2**20:.0f}",
            f"{100 * row.cpu_seconds / row.seconds:.0f} %",
            str(row.deaths),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def renewed(page: str, text: str) -> str:
    """The page with this text between the markers. Raises ValueError when it has none."""
    before, found, rest = page.partition(_BEGIN)
    if not found:
        raise ValueError(f"the page has no line '{_BEGIN}'")
    return f"{before}{_BEGIN}\n{text}\n{_END}{rest.partition(_END)[2]}"
