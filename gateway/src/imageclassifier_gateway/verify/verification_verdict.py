"""The verdict of a verification, as a text that fits into a pod's termination message. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .dataset_comparison import Comparison, Conclusion, ordered

#: The kubelet cuts a termination message at 4,096 bytes.
MAX_BYTES = 4000
_MAX_SENTENCE = 600
#: The maximum number of classes in the status. It gives only the number of the others.
_MAX_CLASSES = 50
_MAX_NAME = 80


@dataclass(frozen=True)
class CaseResult:
    """The outcome of one acceptance picture. `probability` is that of the predicted label."""

    name: str
    expected: str
    label: str
    probability: float
    passed: bool

    def sentence(self) -> str:
        """The outcome as part of a sentence."""
        return f"'{self.name}': expected {self.expected}, got {self.label} with {self.probability:.2f}"

    def document(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        return {
            "name": self.name[:_MAX_NAME],
            "expected": self.expected[:_MAX_NAME],
            "label": self.label[:_MAX_NAME],
            "probability": round(self.probability, 4),
            "passed": self.passed,
        }


@dataclass(frozen=True)
class DatasetResult:
    """The result of the labelled data set, with a row for each class."""

    comparison: Comparison
    conclusion: Conclusion
    total: int
    unreadable: int
    notes: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """The conclusion with its notes, as sentences."""
        return " ".join([self.conclusion.message, *self.notes])

    def document(self, rows: int) -> dict[str, Any]:
        """The result as JSON values, with the `rows` classes that have the largest loss."""
        classes = ordered(self.comparison.classes)
        return {
            "total": self.total,
            "unreadable": self.unreadable,
            "message": self.message[:_MAX_SENTENCE],
            **self.conclusion.document(),
            "classes_total": len(classes),
            "classes": [{"class": name[:_MAX_NAME], **counts.document()} for name, counts in classes[:rows]],
        }


@dataclass
class Verdict:
    """Passed until something fails. `exit_code` is the program's."""

    exit_code: int = 0
    reason: str | None = None
    message: str = ""
    golden: dict[str, Any] | None = None
    latency_milliseconds: dict[str, float] | None = None
    cases: list[CaseResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What does not fail the candidate, but should be looked at.
    warnings: list[str] = field(default_factory=list)
    dataset: DatasetResult | None = None

    def fail(self, reason: str, message: str) -> None:
        """Record that the candidate must not serve."""
        self.exit_code, self.reason, self.message = 1, reason, message

    def give_up(self, message: str) -> None:
        """Record that the verification ended without a verdict."""
        self.exit_code, self.reason, self.message = 2, "VerificationFailed", message

    def note(self, sentence: str) -> None:
        """Add a note that does not change the verdict."""
        self.notes.append(sentence)

    def record_latency(self, seconds: Sequence[float]) -> None:
        """Record the median and the 99th percentile (nearest rank) of the calls, in milliseconds."""
        if not seconds:
            return
        ordered = sorted(seconds)

        def percentile(percent: int) -> float:
            rank = -(-percent * len(ordered) // 100)
            return round(ordered[max(0, rank - 1)] * 1000, 1)

        self.latency_milliseconds = {"p50": percentile(50), "p99": percentile(99)}

    def text(self) -> str:
        """The verdict as JSON of at most MAX_BYTES bytes.

        Rows that do not fit are omitted: first pictures that passed, then classes with the smallest loss.
        """
        ordered_cases = sorted(self.cases, key=lambda case: case.passed)
        classes = 0 if self.dataset is None else min(len(self.dataset.comparison.classes), _MAX_CLASSES)
        cases = len(ordered_cases)
        while True:
            text = json.dumps(self._document(ordered_cases[:cases], classes), ensure_ascii=False)
            if len(text.encode()) <= MAX_BYTES or not (cases or classes):
                return text
            if cases:
                cases -= 1
            else:
                classes -= 1

    def _document(self, shown: Sequence[CaseResult], classes: int) -> dict[str, Any]:
        passed = sum(case.passed for case in self.cases)
        message = self.message or f"The candidate passed: {passed} of {len(self.cases)} acceptance pictures."
        document: dict[str, Any] = {
            "schema": 1,
            "passed": self.exit_code == 0,
            "reason": self.reason,
            "message": " ".join([message, *self.notes])[:_MAX_SENTENCE],
            "golden": self.golden,
            "latency_milliseconds": self.latency_milliseconds,
            "cases_total": len(self.cases),
            "cases_passed": passed,
            "cases": [case.document() for case in shown],
        }
        if self.warnings:
            document["warnings"] = [each[:_MAX_SENTENCE] for each in self.warnings]
        if self.dataset is not None:
            document["dataset"] = self.dataset.document(classes)
        return document
