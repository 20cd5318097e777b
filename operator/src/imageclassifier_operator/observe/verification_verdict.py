"""The verdict of a verification Job, from the termination message of its pod. Pure."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.common_fields import condition
from imageclassifier_operator.observe.dataset_result import count, dataset_result
from imageclassifier_operator.observe.disruptions import is_on_silent_node
from imageclassifier_operator.observe.log_excerpts import one_line
from imageclassifier_operator.observe.types import Verdict


def verdict(job: Json, pods: Iterable[Json]) -> Verdict | None:
    """How the Job ended; None while it runs. Only a verdict that the Job itself wrote is conclusive."""
    if job["metadata"].get("deletionTimestamp") is not None:
        return None
    pods = tuple(pods)
    for pod in pods:
        if (found := _pod_verdict(pod)) is not None:
            return found
    name = job["metadata"]["name"]
    if (failed := condition(job, "Failed", "True")) is not None:
        why = one_line(failed.get("message"))
        return _inconclusive(f"Job {name} ended without a verdict: {why}.")
    # The event of the Job may come before the event of its pod.
    if not pods and condition(job, "Complete", "True") is not None:
        return _inconclusive(f"Job {name} ended, but its pod with the verdict is gone.")
    return None


def _pod_verdict(pod: Json) -> Verdict | None:
    """The verdict of the pod, or why it has none; None while it runs."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    ends = [(c.get("state") or {}).get("terminated") for c in status.get("containerStatuses") or ()]
    ended = next((end for end in ends if end is not None), None)
    if ended is not None and (found := _read(ended)) is not None:
        return found
    if (found := _init_failure(name, status)) is not None:
        return found
    if status.get("reason"):
        why = one_line(status.get("message"))
        return _inconclusive(f"Pod {name} was ended by its node ({status['reason']}): {why}.")
    if is_on_silent_node(pod):
        # Kubernetes does not end such a pod before the node reports again.
        return _inconclusive(f"Pod {name} is on a node that has stopped reporting.")
    if ended is not None:
        last = "".join((ended.get("message") or "").strip().splitlines()[-1:])
        code = ended.get("exitCode")
        return _inconclusive(f"Pod {name} ended with exit code {code} and no verdict: {one_line(last)}.")
    return None


def _init_failure(name: str, status: Json) -> Verdict | None:
    """Why the files of the data set could not be copied from their image."""
    for each in status.get("initContainerStatuses") or ():
        ended = (each.get("state") or {}).get("terminated")
        if ended is not None and ended.get("exitCode") != 0 and not status.get("reason"):
            why, code = one_line(ended.get("message")), ended.get("exitCode")
            what = f"Container {each['name']} of pod {name} could not copy the data set"
            return _inconclusive(f"{what} (exit code {code}): {why}.")
    return None


def _inconclusive(message: str) -> Verdict:
    return Verdict(passed=False, reason=Reason.VERIFICATION_FAILED, message=message, conclusive=False)


def _read(ended: Json) -> Verdict | None:
    """The verdict in a container's termination message; None without one."""
    text = ended.get("message") or ""
    try:
        document = json.loads(text)
        passed, message = bool(document["passed"]), _sentence(str(document.get("message") or ""))
        details = _details(document)
        reason = Reason.of(document.get("reason") or "", Reason.VERIFICATION_FAILED)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    return Verdict(passed, reason, message, conclusive=ended.get("exitCode") in (0, 1), details=details)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _details(document: Json) -> dict[str, Any]:
    """The figures of a verdict in the form of `status.verification`. Raises for any other form."""
    golden, latency = document.get("golden") or {}, document.get("latency_milliseconds") or {}
    details: dict[str, Any] = {
        "passed": bool(document["passed"]),
        "casesTotal": count(document.get("cases_total") or 0),
        "casesPassed": count(document.get("cases_passed") or 0),
    }
    if golden.get("worst_difference") is not None:
        details["goldenWorstDifference"] = _number(golden["worst_difference"])
    if latency:
        details["latencyMilliseconds"] = {key: _number(latency[key]) for key in ("p50", "p99")}
    cases = [
        {key: kind(case[key]) for key, kind in _CASE.items() if case.get(key) is not None}
        for case in document.get("cases") or ()
    ]
    if cases:
        details["cases"] = cases
    if warnings := [str(each) for each in document.get("warnings") or ()]:
        details["warnings"] = warnings
    if document.get("dataset") is not None:
        details["dataset"] = dataset_result(document["dataset"])
    return details


def _number(value: Any) -> float:
    """Raises ValueError for NaN and the infinities, which Python reads but JSON does not have."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value} is not a finite number")
    return number


_CASE: Mapping[str, Callable[[Any], Any]] = {
    "name": str,
    "expected": str,
    "label": str,
    "probability": _number,
    "passed": bool,
}
