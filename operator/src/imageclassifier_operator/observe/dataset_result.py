"""The result of a labelled data set, from the verdict of a verification to the form of the status. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Verdict, VerificationProgress


def count(value: Any) -> int:
    """A number of pictures. Raises ValueError, TypeError or OverflowError for anything else."""
    number = int(value)
    if not 0 <= number < 2**31:
        raise ValueError(f"{value} is not a number of pictures")
    return number


_Fields = Mapping[str, tuple[str, Callable[[Any], Any]]]

#: Name in the verdict -> name in the status, and the type of its value.
_COUNTS: _Fields = {
    "candidate_accuracy_percent": ("candidateAccuracyPercent", str),
    "serving_accuracy_percent": ("servingAccuracyPercent", str),
    "both": ("bothRight", count),
    "only_serving": ("onlyServingRight", count),
    "only_candidate": ("onlyCandidateRight", count),
    "neither": ("bothWrong", count),
}
_ALL: _Fields = {
    "total": ("total", count),
    "unreadable": ("unreadable", count),
    "result": ("result", str),
    "message": ("message", str),
    **_COUNTS,
    "p_value": ("pValue", str),
    "smallest_loss_points": ("smallestLossPoints", str),
    "classes_total": ("classesTotal", count),
}
_CLASS: _Fields = {"class": ("class", str), "pictures": ("pictures", count), **_COUNTS}


def dataset_result(document: Json) -> dict[str, Any]:
    """The result in the form of `status.verification.dataset`. Raises for any other form."""
    result = _read(document, _ALL) | {"done": count(document["total"])}
    return result | {"classes": [_read(row, _CLASS) for row in document["classes"]]}


def progress_result(progress: VerificationProgress) -> dict[str, Any]:
    """The progress in the same form."""
    return {"total": progress.total, "done": progress.done, "unreadable": progress.unreadable}


def with_dataset(verdict: Verdict) -> Verdict:
    """The verdict of a verification that had a data set in its plan.

    A gateway image that is older than data sets ignores them; such a verdict must not let a version pass.
    """
    if not (verdict.conclusive and verdict.passed) or "dataset" in verdict.details:
        return verdict
    message = (
        "The gateway image in spec.gateway.image is too old for spec.rollout.acceptance.dataset: its verdict "
        "says nothing about the data set. Use the gateway image of the operator's release."
    )
    return replace(
        verdict, passed=False, reason=Reason.VERIFICATION_FAILED, message=message, conclusive=False
    )


def _read(document: Json, fields: _Fields) -> dict[str, Any]:
    return {
        name: kind(document[key]) for key, (name, kind) in fields.items() if document.get(key) is not None
    }
