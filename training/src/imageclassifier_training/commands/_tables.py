"""The tables of figures that several commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..judging.judgement import Judgement
    from ..judging.metrics import ClassMetrics

#: With more classes, tables show only the worst ones.
_MOST = 12


def of_classes(names: Sequence[str], classes: Sequence[ClassMetrics]) -> Table:
    """Precision, recall and F1 of each class; of many classes, of those with the lowest F1."""
    rows = list(zip(names, classes, strict=True))
    title = "classes"
    if len(rows) > _MOST:
        rows = sorted(rows, key=lambda row: -1.0 if row[1].f1 is None else row[1].f1)[:_MOST]
        title = f"the {_MOST} classes with the lowest F1, of {len(names)}"
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for name in ("images", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for name, row in rows:
        table.add_row(
            name,
            str(row.pictures),
            *("n/a" if value is None else f"{100 * value:.1f} %" for value in (row.precision, row.recall)),
            "n/a" if row.f1 is None else f"{row.f1:.3f}",
        )
    return table


def of_confusion(judgement: Judgement) -> Table:
    """The confusion matrix; of many classes, the pairs that are confused most often."""
    names = judgement.class_names
    if len(names) > _MOST:
        table = Table("true class", "predicted class", title="most frequent confusions", title_justify="left")
        table.add_column("images", justify="right")
        for true, predicted, count in judgement.confusions()[:_MOST]:
            table.add_row(true, predicted, str(count))
        return table
    table = Table(
        title="confusion matrix: true class (rows), predicted class (columns)", title_justify="left"
    )
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, judgement.metrics.confusion, strict=True):
        table.add_row(name, *map(str, row))
    return table
