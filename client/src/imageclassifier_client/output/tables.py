"""The tables: the ImageClassifiers of a namespace, and the history of one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from ..report.advice import headline
from ..report.batches import BatchReport
from ..report.classifier import HistoryEntry, Report

_DIGEST_CHARACTERS = 19
"""`sha256:` and twelve digits, as kubectl and Docker shorten digests."""


def list_table(reports: Sequence[Report], *, with_namespace: bool) -> Table:
    """One line for each ImageClassifier."""
    table = _table(*(("NAMESPACE",) if with_namespace else ()), "NAME", "WANTED", "TRAFFIC", "STATE")
    for each in reports:
        shares = ", ".join(f"v{v.number} {v.percent} %" for v in each.versions if v.percent) or "none"
        state = Text(headline(each), style="green" if each.is_ready else "yellow")
        row = (each.name, f"v{each.wanted}", shares, state)
        table.add_row(*((each.namespace,) if with_namespace else ()), *row)
    return table


def history_table(history: Sequence[HistoryEntry]) -> Table:
    """One line for each ended rollout, the newest first."""
    table = _table("VERSION", "VERDICT", "TIME", "MODEL", "REASON")
    for each in history:
        why = ": ".join(part for part in (each.reason, each.message) if part)
        digest = each.digest.rpartition("@")[2][:_DIGEST_CHARACTERS]
        table.add_row(
            str(each.version), each.verdict, each.time.removesuffix("Z").replace("T", " "), digest, why
        )
    return table


def batches_table(batches: Sequence[BatchReport]) -> Table:
    """One line for each batch."""
    table = _table("BATCH", "CLASSIFIER", "STATE", "PROGRESS")
    styles = {"Complete": "green", "Failed": "red"}
    for each in batches:
        state = Text(each.state, style=styles.get(each.state, ""))
        table.add_row(each.name, each.classifier, state, Text(each.progress))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table
