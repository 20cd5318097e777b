"""The CRD's limits on the status, and truncation of a status to them. Pure.

Many values in a status come from pods, gateways and the API server. If one exceeds its limit, the API server
refuses the whole status. A test holds this table against the CRD.
"""

from collections.abc import Mapping
from typing import Any

MAX_CHARACTERS: Mapping[str, int] = {
    "phase": 64,
    "selector": 1024,
    "access": 64,
    "url": 1024,
    "modelDigest": 512,
    "shadow.confusion[].serving": 255,
    "shadow.confusion[].candidate": 255,
    "analysis.outcome": 64,
    "analysis.message": 2048,
    "analysis.versions[].errorRateUpperBound": 16,
    "verification.cases[].name": 63,
    "verification.cases[].expected": 255,
    "verification.cases[].label": 255,
    "verification.warnings[]": 1024,
    "verification.dataset.result": 64,
    "verification.dataset.message": 2048,
    "verification.dataset.candidateAccuracyPercent": 16,
    "verification.dataset.servingAccuracyPercent": 16,
    "verification.dataset.pValue": 16,
    "verification.dataset.smallestLossPoints": 16,
    "verification.dataset.classes[].class": 255,
    "verification.dataset.classes[].candidateAccuracyPercent": 16,
    "verification.dataset.classes[].servingAccuracyPercent": 16,
    "failedVersions[].attempt": 64,
    "failedVersions[].reason": 64,
    "failedVersions[].message": 2048,
    "failedVersions[].time": 64,
    "history[].verdict": 64,
    "history[].time": 64,
    "history[].reason": 64,
    "history[].modelDigest": 512,
    "conditions[].type": 316,
    "conditions[].lastTransitionTime": 64,
    "conditions[].reason": 64,
    "conditions[].message": 4096,
}
MAX_ITEMS: Mapping[str, int] = {
    "traffic": 8,
    "shadow.confusion": 10,
    "analysis.versions": 2,
    "verification.cases": 32,
    "verification.warnings": 8,
    "verification.dataset.classes": 50,
    "failedVersions": 10,
    "history": 50,
    "conditions": 32,
}
_USELESS_WHEN_TRUNCATED = ("selector", "url", "modelDigest")


def within_limits(status: Mapping[str, Any]) -> dict[str, Any]:
    """The status with long texts and lists truncated. A value that is useless when truncated is left out."""
    return {
        name: _truncated(value, name)
        for name, value in status.items()
        if name not in _USELESS_WHEN_TRUNCATED or len(value) <= MAX_CHARACTERS[name]
    }


def _truncated(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _truncated(field, f"{path}.{name}") for name, field in value.items()}
    if isinstance(value, list):
        return [_truncated(item, f"{path}[]") for item in value[: MAX_ITEMS.get(path)]]
    most = MAX_CHARACTERS.get(path)
    if most is not None and len(value) > most:
        return f"{value[: most - 1]}…"
    return value
