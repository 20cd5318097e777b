"""Renders an exploration: as JSON values, and as one HTML file with its images inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import shown
from ..judging import report
from ..judging.report import Card, short
from .explore import Exploration

_SAMPLES = 12
_DOUBTS = 48
_OTHERS = 24
_EXTREMES = 6
_BINS = 24


@dataclass(frozen=True)
class Histogram:
    """The distribution of one measurement: its name, its quartiles, and the height of each bar (0 to 1).

    There are no bars if all images have the same value.
    """

    name: str
    quartiles: tuple[float, float, float]
    low: float
    high: float
    bars: tuple[float, ...]


def to_dict(found: Exploration) -> dict[str, Any]:
    """The exploration as JSON values."""
    names, pictures = found.dataset.classes, found.dataset.pictures
    return {
        "source": shown(found.source),
        "images": len(pictures),
        "classes": found.dataset.counts(),
        "splits": {name: found.split_of.count(name) for name in found.splits},
        "data_digest": found.dataset.digest,
        "notes": list(found.notes),
        "unusable": [{"path": shown(each.path), "problem": each.problem} for each in found.broken],
        "measurements": {
            name: dict(
                zip(("least", "median", "largest"), _round(np.quantile(values, [0, 0.5, 1])), strict=True)
            )
            for name, values in found.measurements.named().items()
        },
        "duplicates": [
            {
                "exact": each.exact,
                "across_classes": each.across_classes,
                "across_splits": each.across_splits,
                "paths": [shown(pictures[i].path) for i in each.indices],
            }
            for each in found.duplicates
        ],
        "label_doubts": [
            {
                "path": shown(pictures[each.index].path),
                "label": names[pictures[each.index].label],
                "suggested": names[each.suggested],
                "quality": round(each.quality, 4),
                "probable_error": each.probable,
            }
            for each in found.doubts
        ],
        "outliers": [shown(pictures[i].path) for i in found.outliers],
        "expected": found.expected.to_dict() if found.expected else None,
    }


def render(found: Exploration) -> str:
    """Render the exploration as one HTML document."""
    environment = report.environment(__package__ or "")
    dataset, names = found.dataset, found.dataset.classes
    counts = dataset.counts()
    return environment.get_template("explore.html.j2").render(
        found=found,
        source=shown(found.source),
        total=len(dataset.pictures),
        counts=sorted(counts.items(), key=lambda item: -item[1]),
        most=max(counts.values()),
        splits=[(name, found.split_of.count(name)) for name in found.splits],
        expected=found.expected,
        chance=max(counts.values()) / len(dataset.pictures),
        histograms=[_histogram(name, values) for name, values in found.measurements.named().items()],
        probable=sum(each.probable for each in found.doubts),
        doubts=[
            Card(
                report.thumbnail(dataset.pictures[each.index].path),
                f"{names[dataset.pictures[each.index].label]} \u2192 {names[each.suggested]}?",
                f"own label: {each.quality:.3f}{'' if each.probable else ' (doubtful)'}\n"
                f"{short(dataset.pictures[each.index].path)}",
            )
            for each in found.doubts[:_DOUBTS]
        ],
        duplicates=[_group(found, group.indices) for group in found.duplicates[:_OTHERS]],
        outliers=[_card(found, index) for index in found.outliers[:_OTHERS]],
        extremes=_extremes(found),
        samples=[(name, _samples(found, label)) for label, name in enumerate(names)],
        broken=[(shown(each.path), each.problem) for each in found.broken[:200]],
    )


def _card(found: Exploration, index: int, title: str = "", side: int = 150) -> Card:
    picture = found.dataset.pictures[index]
    return Card(report.thumbnail(picture.path, side), title, short(picture.path))


def _group(found: Exploration, indices: tuple[int, ...]) -> list[Card]:
    names, pictures = found.dataset.classes, found.dataset.pictures
    return [
        _card(found, i, f"{names[pictures[i].label]}{', ' + found.split_of[i] if found.splits else ''}", 120)
        for i in indices[:8]
    ]


def _samples(found: Exploration, label: int) -> list[Card]:
    """The same images each time, spread over the class."""
    inside = np.flatnonzero(found.dataset.labels == label)
    chosen = np.random.default_rng(0).permutation(inside)[:_SAMPLES]
    return [_card(found, int(i), side=120) for i in sorted(chosen)]


def _extremes(found: Exploration) -> list[tuple[str, list[Card]]]:
    measured = found.measurements
    size = measured.width * measured.height
    rows: list[tuple[str, NDArray[Any], str]] = [
        ("Darkest", measured.brightness, "{:.0f} of 255"),
        ("Brightest", -measured.brightness, "{:.0f} of 255"),
        ("Least sharp", measured.sharpness, "{:.1f}"),
        ("Least colourful", measured.colour, "{:.1f}"),
        ("Smallest", size, "{:,.0f} pixels"),
        ("Narrowest", measured.aspect, "width : height {:.2f}"),
        ("Widest", -measured.aspect, "width : height {:.2f}"),
    ]
    found_cards = ((title, _extreme_cards(found, values, form)) for title, values, form in rows)
    return [(title, cards) for title, cards in found_cards if cards]


def _extreme_cards(found: Exploration, values: NDArray[Any], form: str) -> list[Card]:
    """The images with the lowest values; none of those that look the same as the median."""

    def text(value: float) -> str:
        return form.format(abs(value))

    median = float(np.median(values))
    lowest = [int(i) for i in np.argsort(values, kind="stable")[:_EXTREMES]]
    return [
        _card(found, i, text(float(values[i])), 120)
        for i in lowest
        if values[i] < median and text(float(values[i])) != text(median)
    ]


def _histogram(name: str, values: NDArray[np.float64]) -> Histogram:
    low, high = float(values.min()), float(values.max())
    counts, _ = np.histogram(values, bins=_BINS, range=(low, high)) if high > low else (np.empty(0), None)
    bars = tuple(float(count) for count in counts / counts.max(initial=1))
    first, median, third = (float(each) for each in np.quantile(values, [0.25, 0.5, 0.75]))
    return Histogram(name, (first, median, third), low, high, bars)


def _round(values: NDArray[np.float64]) -> list[float]:
    return [round(float(value), 3) for value in values]
