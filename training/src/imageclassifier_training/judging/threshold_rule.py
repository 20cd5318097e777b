"""How the threshold for two classes is given: as a number, or as the metric that chooses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import TrainingError

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class ThresholdRule:
    """A fixed threshold, or the metric that chooses it: `accuracy`, `f1` or `precision`.

    With `precision`, `value` is the precision to reach; with `fixed`, it is the threshold.
    """

    by: str = "fixed"
    value: float = DEFAULT_THRESHOLD

    @classmethod
    def parse(cls, text: str) -> ThresholdRule:
        """Read `0.7`, `accuracy`, `f1` or `precision=0.95`. Raises TrainingError."""
        by, separator, number = text.partition("=")
        if text in ("accuracy", "f1"):
            return cls(text)
        try:
            value = float(number if separator else text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1 or (separator and by != "precision"):
            raise TrainingError(
                f"'{text}' is not a threshold: use a number from 0 to 1, accuracy, f1 or precision=P, for "
                "example precision=0.95"
            )
        return cls("precision" if separator else "fixed", value)

    @classmethod
    def recorded(cls, value: Mapping[str, Any] | float) -> ThresholdRule:
        """Read what a training recorded: the fields of a rule or, in older trainings, a fixed threshold."""
        return cls(**value) if isinstance(value, Mapping) else cls("fixed", value)

    @property
    def argument(self) -> str:
        """The rule as `parse` reads it."""
        return f"{self.value:g}" if self.by == "fixed" else str(self)

    def __str__(self) -> str:
        return f"{self.by}={self.value:g}" if self.by == "precision" else self.by


FIXED = ThresholdRule()
