"""The table of `make attack`, and its place in docs/performance.md. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from good_client import Seen

BEGIN, END = "<!-- attacks -->", "<!-- end of attacks -->"

#: The aims: a quantile this many times that at rest at most, and this share of the memory's limit.
MAX_TIMES_AT_REST = 5.0
MAX_MEMORY_SHARE = 0.9


@dataclass(frozen=True)
class Row:
    """One attack: the results of each good client, and the usage of the gateway's container."""

    name: str
    seen: dict[str, Seen]
    peak_bytes: int
    limit_bytes: int
    cpu_seconds: float
    seconds: float
    deaths: int

    def misses(self, rest: Row) -> list[str]:
        """One sentence for each missed aim."""
        missed = []
        for way, seen in self.seen.items():
            if seen.failures:
                missed.append(f"{way}: {seen.failures.total()} failures: {dict(seen.failures)}")
        if (times := self.times(rest)) > MAX_TIMES_AT_REST:
            missed.append(f"p99 is {times:.1f} times that at rest")
        if self.peak_bytes > MAX_MEMORY_SHARE * self.limit_bytes:
            missed.append(f"{self.peak_bytes / self.limit_bytes:.0%} of the memory's limit")
        if self.deaths:
            missed.append(f"{self.deaths} processes died")
        return missed

    def times(self, rest: Row) -> float:
        """The 99th percentile of the client that sends pictures, as a multiple of that at rest."""
        return self.seen["picture"].quantile_ms(0.99) / rest.seen["picture"].quantile_ms(0.99)


def table(rows: list[Row], machine: str) -> str:
    """The rows as Markdown, in two tables; the first row is at rest."""
    return "\n".join([machine, "", *_main_table(rows), "", *_table_of_ways(rows)])


def _main_table(rows: list[Row]) -> list[str]:
    lines = [
        "| attack | p50 / p99 ms of the good client | p99 at rest = 1 | its failures | memory at most, MiB "
        "| CPU | processes that died |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [main_line(row, rows[0]) for row in rows]


def main_line(row: Row, rest: Row) -> str:
    """The row of the first table: the client that sends pictures, and the container's figures."""
    seen = row.seen["picture"]
    return _line(
        row.name,
        _quantiles(seen),
        f"{row.times(rest):.1f}",
        f"{seen.failures.total()} of {seen.requests}",
        f"{row.peak_bytes / 2**20:.0f} of {row.limit_bytes / 2**20:.0f}",
        f"{100 * row.cpu_seconds / row.seconds:.0f} %",
        str(row.deaths),
    )


def _table_of_ways(rows: list[Row]) -> list[str]:
    """The clients that send the picture in another way: p50 / p99 ms, and failures."""
    ways = [way for way in rows[0].seen if way != "picture"]
    lines = [
        _line("attack", *(f"{way}: p50 / p99 ms, failures" for way in ways)),
        "|---" * (1 + len(ways)) + "|",
    ]
    for row in rows:
        cells = (
            f"{_quantiles(row.seen[way])}, {row.seen[way].failures.total()} of {row.seen[way].requests}"
            for way in ways
        )
        lines.append(_line(row.name, *cells))
    return lines


def _quantiles(seen: Seen) -> str:
    return f"{seen.quantile_ms(0.5):.0f} / {seen.quantile_ms(0.99):.0f}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
