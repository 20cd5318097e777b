"""The verdict that a verification Job comes back with. Pure."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.log_excerpts import short
from imageclassifier_operator.observe.types import Verdict

Json = Mapping[str, Any]


def verdict(job: Json, pods: Iterable[Json]) -> Verdict | None:
    """How the Job ended; None while it runs. Only a verdict in its own words is conclusive."""
    if job["metadata"].get("deletionTimestamp") is not None:
        return None
    for pod in pods:
        if (found := _of_pod(pod)) is not None:
            return found
    conditions = (job.get("status") or {}).get("conditions") or ()
    failed = next((c for c in conditions if c["type"] == "Failed" and c["status"] == "True"), None)
    if failed is not None:
        return _none(f"Job {job['metadata']['name']} ended without a verdict: {short(failed.get('message'))}")
    return None


def _of_pod(pod: Json) -> Verdict | None:
    """What the pod has found, or why it has found nothing; None while it runs."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    ends = [(c.get("state") or {}).get("terminated") for c in status.get("containerStatuses") or ()]
    ended = next((end for end in ends if end is not None), None)
    if ended is not None and (said := _read(ended)) is not None:
        return said
    if status.get("reason"):
        return _none(f"pod {name} was ended by its node ({status['reason']}): {short(status.get('message'))}")
    if ended is not None:
        last = "".join((ended.get("message") or "").strip().splitlines()[-1:])
        return _none(f"pod {name} ended with exit code {ended.get('exitCode')} and no verdict: {short(last)}")
    return None


def _none(why: str) -> Verdict:
    return Verdict(passed=False, reason=Reason.VERIFICATION_FAILED, message=why, conclusive=False)


def _read(ended: Json) -> Verdict | None:
    """The verdict in a container's termination message, None when there is none."""
    text = ended.get("message") or ""
    try:
        said = json.loads(text)
        passed, message = bool(said["passed"]), str(said.get("message") or "").rstrip(".")
        details = _details(said)
        reason = Reason.of(said.get("reason") or "", Reason.VERIFICATION_FAILED)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return Verdict(passed, reason, message, conclusive=ended.get("exitCode") in (0, 1), details=details)


def _details(said: Json) -> dict[str, Any]:
    """The figures of a verdict in the form of `status.verification`. Raises for what is not of that form."""
    golden, latency = said.get("golden") or {}, said.get("latency_milliseconds") or {}
    details: dict[str, Any] = {
        "passed": bool(said["passed"]),
        "casesTotal": _count(said.get("cases_total") or 0),
        "casesPassed": _count(said.get("cases_passed") or 0),
    }
    if golden.get("worst_difference") is not None:
        details["goldenWorstDifference"] = _number(golden["worst_difference"])
    if latency:
        details["latencyMilliseconds"] = {key: _number(latency[key]) for key in ("p50", "p99")}
    cases = [
        {key: kind(case[key]) for key, kind in _CASE.items() if case.get(key) is not None}
        for case in said.get("cases") or ()
    ]
    if cases:
        details["cases"] = cases
    return details


def _number(value: Any) -> float:
    """Raises ValueError for what JSON has no number for, though Python reads it: NaN and the infinities."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is no number")
    return number


def _count(value: Any) -> int:
    count = int(value)
    if not 0 <= count < 2**31:
        raise ValueError(f"{value} is no number of pictures")
    return count


_CASE: Mapping[str, Callable[[Any], Any]] = {
    "name": str,
    "expected": str,
    "label": str,
    "probability": _number,
    "passed": bool,
}
