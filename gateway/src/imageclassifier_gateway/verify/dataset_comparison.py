"""The result of a labelled data set: counts of each class, and what they show about the candidate. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import mcnemar

WORSE = "WorseThanServing"
ACCURACY_TOO_LOW = "AccuracyTooLow"
NOT_SHOWN_WORSE = "NotShownWorse"
NOT_COMPARED = "NotCompared"


@dataclass(frozen=True)
class Rules:
    """The requirements on the candidate. `significance_percent` is the significance level of the test."""

    significance_percent: int = 5
    min_accuracy_percent: int | None = None


@dataclass
class Counts:
    """The numbers of pictures that both, one or neither of the versions classified correctly.

    `right` and `wrong` count the pictures that only the candidate classified.
    """

    both: int = 0
    only_serving: int = 0
    only_candidate: int = 0
    neither: int = 0
    right: int = 0
    wrong: int = 0

    @property
    def compared(self) -> int:
        """The number of pictures that both versions classified."""
        return self.both + self.only_serving + self.only_candidate + self.neither

    @property
    def pictures(self) -> int:
        """The number of pictures that the candidate classified."""
        return self.compared + self.right + self.wrong

    @property
    def candidate_right(self) -> int:
        """The number of pictures that the candidate classified correctly."""
        return self.both + self.only_candidate + self.right

    @property
    def loss(self) -> int:
        """The number of correct pictures that the candidate has less; negative if it has more."""
        return self.only_serving - self.only_candidate

    def add(self, candidate_right: bool, serving_right: bool | None) -> None:
        """Count one picture. `serving_right` is None if only the candidate classified it."""
        if serving_right is None:
            name = "right" if candidate_right else "wrong"
        elif serving_right:
            name = "both" if candidate_right else "only_serving"
        else:
            name = "only_candidate" if candidate_right else "neither"
        setattr(self, name, getattr(self, name) + 1)

    def document(self) -> dict[str, Any]:
        """The counts as JSON values; those of the serving version only if the versions were compared."""
        document: dict[str, Any] = {
            "pictures": self.pictures,
            "candidate_accuracy_percent": _percent(self.candidate_right, self.pictures),
        }
        if self.compared:
            document |= {
                "serving_accuracy_percent": _percent(self.both + self.only_serving, self.compared),
                "both": self.both,
                "only_serving": self.only_serving,
                "only_candidate": self.only_candidate,
                "neither": self.neither,
            }
        return document


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of counts."""
    result: Counter[str] = Counter()
    for each in counts:
        result.update(vars(each))
    return Counts(**result)


@dataclass
class Comparison:
    """The counts of each class, and the conclusion from them. Its message names the versions."""

    candidate: int
    serving: int | None
    rules: Rules = Rules()
    classes: dict[str, Counts] = field(default_factory=dict)

    def add(self, label: str, candidate: str, serving: str | None) -> None:
        """Count one picture of the class `label` by the predictions of both versions."""
        counts = self.classes.setdefault(label, Counts())
        counts.add(candidate == label, None if serving is None else serving == label)

    @property
    def totals(self) -> Counts:
        """The counts of all classes together."""
        return total(self.classes.values())

    def conclusion(self) -> Conclusion:
        """The result of the test, with its message."""
        counts = self.totals
        accuracy = f"{_percent(counts.candidate_right, counts.pictures)} % of {counts.pictures:,} labelled "
        accuracy += "pictures"
        least = self.rules.min_accuracy_percent
        too_low = least is not None and counts.candidate_right * 100 < least * counts.pictures
        low = f"It must be right on at least {least} % (minAccuracyPercent)." if too_low else ""
        if not counts.compared:
            message = f"Version {self.candidate} is right on {accuracy}. {low}"
            return Conclusion(ACCURACY_TOO_LOW if too_low else NOT_COMPARED, message.strip(), counts)
        p_value = mcnemar.p_value(counts.only_serving, counts.only_candidate)
        # Counted in whole numbers, as in `smallest_shown`: a p value next to the level must not be rounded.
        shown = mcnemar.smallest_shown(
            counts.only_serving + counts.only_candidate, self.rules.significance_percent
        )
        worse = shown is not None and counts.only_serving >= shown
        result = WORSE if worse else ACCURACY_TOO_LOW if too_low else NOT_SHOWN_WORSE
        advice = "" if too_low and not worse else self._advice(counts, shown, worse)
        message = " ".join(part for part in (self._compared(counts, p_value, worse), low, advice) if part)
        return Conclusion(result, message, counts, p_value, _loss(counts, shown))

    def _compared(self, counts: Counts, p_value: float, worse: bool) -> str:
        candidate, serving = f"version {self.candidate}", f"version {self.serving}"
        is_worse = "is worse than" if worse else "is not shown to be worse than"
        right = _percent(counts.both + counts.only_candidate, counts.compared)
        serving_right = _percent(counts.both + counts.only_serving, counts.compared)
        return (
            f"{candidate.capitalize()} {is_worse} {serving} on {counts.compared:,} labelled pictures: "
            f"{right} % right against {serving_right} %. Only {serving} is right on {counts.only_serving:,}, "
            f"only {candidate} on {counts.only_candidate:,} (exact McNemar test, one-sided: "
            f"p = {decimal(p_value)}; level {self.rules.significance_percent / 100:g})."
        )

    def _advice(self, counts: Counts, shown: int | None, worse: bool) -> str:
        """What to do about a loss. Without a loss: the smallest loss that the test could have shown."""
        if worse:
            return "To roll it out anyway, remove spec.rollout.acceptance.dataset."
        if shown is None:
            fewest = mcnemar.fewest_discordant(self.rules.significance_percent)
            return f"The versions differ on too few pictures to show a loss: at least {fewest} are needed."
        return (
            f"With this many differences, a loss of {_loss(counts, shown)} percentage points would have been "
            "shown."
        )


@dataclass(frozen=True)
class Conclusion:
    """The result of the test. `smallest_loss` is the smallest loss that it can show, in percentage points."""

    result: str
    message: str
    counts: Counts
    p_value: float | None = None
    smallest_loss: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the candidate may serve."""
        return self.result in (NOT_SHOWN_WORSE, NOT_COMPARED)

    def document(self) -> dict[str, Any]:
        """The conclusion as JSON values."""
        document: dict[str, Any] = {"result": self.result, **self.counts.document()}
        if self.p_value is not None:
            document["p_value"] = decimal(self.p_value)
        if self.smallest_loss is not None:
            document["smallest_loss_points"] = self.smallest_loss
        return document


def ordered(classes: Mapping[str, Counts]) -> list[tuple[str, Counts]]:
    """The classes with the largest loss first, then those with the most wrong predictions."""

    def key(item: tuple[str, Counts]) -> tuple[int, int, str]:
        name, counts = item
        return -counts.loss, counts.candidate_right - counts.pictures, name

    return sorted(classes.items(), key=key)


def decimal(p_value: float) -> str:
    """A p value as a decimal string, with an exponent if it is small.

    >>> decimal(0.0312), decimal(1.0), decimal(3.44e-08)
    ('0.0312', '1.0000', '3.4e-08')
    """
    return f"{p_value:.4f}" if p_value >= 0.0001 else f"{p_value:.1e}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "0.00"


def _loss(counts: Counts, shown: int | None) -> str | None:
    """The smallest loss that could be shown, in percentage points, given the number of differences."""
    if shown is None:
        return None
    discordant = counts.only_serving + counts.only_candidate
    return _percent(2 * shown - discordant, counts.compared)
