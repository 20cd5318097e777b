"""The CRD's bounds on the status, and cutting a status down to them. Pure.

What a status tells comes from pods, gateways and the API server. One value beyond its bound, and the API
server refuses the whole status. A test holds this table against the CRD.
"""

from collections.abc import Mapping
from typing import Any

MAX_CHARACTERS: Mapping[str, int] = {
    "selector": 1024,
    "url": 1024,
    "modelDigest": 512,
    "shadow.confusion[].serving": 63,
    "shadow.confusion[].candidate": 63,
    "verification.cases[].name": 63,
    "verification.cases[].expected": 63,
    "verification.cases[].label": 63,
    "failedVersions[].inputHash": 64,
    "failedVersions[].reason": 64,
    "failedVersions[].message": 2048,
    "failedVersions[].time": 64,
    "conditions[].lastTransitionTime": 64,
    "conditions[].reason": 64,
    "conditions[].message": 4096,
}
MAX_ITEMS: Mapping[str, int] = {
    "traffic": 8,
    "shadow.confusion": 10,
    "verification.cases": 32,
    "failedVersions": 10,
    "conditions": 8,
}
_USELESS_WHEN_CUT = ("selector", "url", "modelDigest")


def within_bounds(status: Mapping[str, Any]) -> dict[str, Any]:
    """The same status with texts and lists cut; what is of no use when it is cut is left out."""
    return {
        name: _cut(value, name)
        for name, value in status.items()
        if name not in _USELESS_WHEN_CUT or len(value) <= MAX_CHARACTERS[name]
    }


def _cut(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _cut(field, f"{path}.{name}") for name, field in value.items()}
    if isinstance(value, list):
        return [_cut(item, f"{path}[]") for item in value[: MAX_ITEMS.get(path)]]
    most = MAX_CHARACTERS.get(path)
    if most is not None and len(value) > most:
        return f"{value[: most - 1]}…"
    return value
