"""Renders the contact sheet of a table of scores: the images of each label, the least certain first."""

from __future__ import annotations

import csv
from pathlib import Path

from imageclassifier_gateway.pixels.images import PictureError

from ..files import shown
from . import report
from .report import Card
from .scoring import read

_MOST = 60


def render(table: Path, title: str) -> str:
    """Render a table that `ScoreTable` wrote as one HTML document."""
    by_label: dict[str, list[tuple[float, str]]] = {}
    failed: list[tuple[str, str]] = []
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        for row in csv.DictReader(file):
            if row["error"]:
                failed.append((shown(row["image"]), row["error"]))
            else:
                by_label.setdefault(row["label"], []).append((float(row["probability"]), row["image"]))
    labels = sorted(by_label.items(), key=lambda item: -len(item[1]))
    return (
        report.environment()
        .get_template("scores.html.j2")
        .render(
            title=title,
            total=sum(len(rows) for _, rows in labels),
            most=max((len(rows) for _, rows in labels), default=1),
            labels=[(name, len(rows), _cards(sorted(rows)[:_MOST])) for name, rows in labels],
            failed=failed,
        )
    )


def _cards(rows: list[tuple[float, str]]) -> list[Card]:
    cards = []
    for probability, image in rows:
        try:
            small = report.thumbnail_of(read(image), 120)
        except (OSError, ValueError, PictureError):
            small = ""  # it was there when it was scored
        cards.append(Card(small, f"{probability:.3f}", "/".join(shown(image).rsplit("/", 2)[-2:])))
    return cards
