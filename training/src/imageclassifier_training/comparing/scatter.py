"""Places trainings in a plot of log loss over milliseconds, with axes that fit the values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .leaderboard import Row

_RADIUS = 6
_TICKS = 5
_DIGIT, _LINE = 7.0, 12.0
#: A training is left out if it is this many interquartile ranges above the third quartile (Tukey's far
#: outliers), and without such trainings the axis is this many times shorter.
_FAR, _SHORTER = 3.0, 3.0


@dataclass(frozen=True)
class Tick:
    """A value on an axis: where it is in the picture, and its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Point:
    """A training in the picture. `label` is where its place is written; None if there is no space."""

    row: Row
    x: float
    y: float
    label: tuple[float, float] | None


@dataclass(frozen=True)
class Scatter:
    """The plot. `left_out` trainings have a log loss above `limit`."""

    #: The size of the picture, and the edges of the plot in it.
    width: ClassVar[int] = 720
    height: ClassVar[int] = 360
    left: ClassVar[int] = 70
    right: ClassVar[int] = 690
    top: ClassVar[int] = 30
    bottom: ClassVar[int] = 310
    radius: ClassVar[int] = _RADIUS

    points: tuple[Point, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    left_out: int
    limit: float


def scatter(rows: Sequence[Row]) -> Scatter | None:
    """Place the trainings whose costs are known; None if there are none."""
    costs = [(row, row.cost.milliseconds) for row in rows if row.cost]
    if not costs:
        return None
    limit = _limit([row.log_loss.mean for row, _ in costs])
    shown = [(row, time, row.log_loss.mean) for row, time in costs if row.log_loss.mean <= limit]
    times, losses = ticks([each[1] for each in shown]), ticks([each[2] for each in shown])

    def x(value: float) -> float:
        share = (value - times[0]) / (times[-1] - times[0])
        return Scatter.left + share * (Scatter.right - Scatter.left)

    def y(value: float) -> float:
        share = (value - losses[0]) / (losses[-1] - losses[0])
        return Scatter.bottom - share * (Scatter.bottom - Scatter.top)

    placed = [(row, x(time), y(loss)) for row, time, loss in shown]
    return Scatter(
        _with_labels(placed),
        tuple(Tick(x(value), text) for value, text in zip(times, texts(times), strict=True)),
        tuple(Tick(y(value), text) for value, text in zip(losses, texts(losses), strict=True)),
        len(costs) - len(shown),
        limit,
    )


def ticks(values: Sequence[float]) -> list[float]:
    """About five round values from below the smallest value to above the largest, in equal steps.

    >>> ticks([0.0912, 0.1183])
    [0.09, 0.1, 0.11, 0.12]
    >>> ticks([8.0])
    [7.0, 7.5, 8.0, 8.5, 9.0]
    """
    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.1 * abs(low) - 1e-3, high + 0.1 * abs(high) + 1e-3
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def texts(values: Sequence[float]) -> list[str]:
    """The values with as many digits as their steps need.

    >>> texts([0.09, 0.1, 0.11])
    ['0.09', '0.10', '0.11']
    """
    digits = max(0, -math.floor(math.log10(values[1] - values[0]) + 1e-9))
    return [f"{value:.{digits}f}" for value in values]


def _limit(losses: Sequence[float]) -> float:
    """The largest log loss that is shown: a few far ones would press all others together."""
    first, third = np.quantile(losses, [0.25, 0.75])
    near = [each for each in losses if each <= third + _FAR * (third - first)]
    spread = max(near) - min(near)
    return max(near) if 0 < _SHORTER * spread < max(losses) - min(losses) else max(losses)


def _with_labels(placed: Sequence[tuple[Row, float, float]]) -> tuple[Point, ...]:
    """Write the places of the best trainings first, each beside its point where nothing else is."""
    taken = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for _, x, y in placed]
    points = []
    for row, x, y in placed:
        width, gap = _DIGIT * len(str(row.place)), _RADIUS + 3
        positions = (
            (x + gap, y + _LINE / 3),
            (x - gap - width, y + _LINE / 3),
            (x - width / 2, y - gap),
            (x - width / 2, y + gap + 2 * _LINE / 3),
        )
        label = next((each for each in positions if _is_free(each, width, taken)), None)
        if label is not None:
            taken.append(_box(label, width))
        points.append(Point(row, x, y, label))
    return tuple(points)


def _box(label: tuple[float, float], width: float) -> tuple[float, float, float, float]:
    left, baseline = label
    return left, baseline - 0.8 * _LINE, left + width, baseline


def _is_free(
    label: tuple[float, float], width: float, taken: Sequence[tuple[float, float, float, float]]
) -> bool:
    left, top, right, bottom = _box(label, width)
    return not any(
        left < other[2] and other[0] < right and top < other[3] and other[1] < bottom for other in taken
    )
