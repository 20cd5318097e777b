"""Kubernetes Events about an ImageClassifier: one for each transition of its rollout, and for what blocks it.

The name of an Event is a digest of what it tells, so the same thing told twice (by a repeated pass, by the
next leader) is one Event.

They are Events of the core group: `kubectl describe` sorts by `firstTimestamp`, which those of events.k8s.io
cannot have.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import EVENTS
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import Happened

Json = Mapping[str, Any]

MAX_NAME_CHARACTERS = 200  # of the ImageClassifier: with one too long for its Services there is an Event too
MAX_MESSAGE_CHARACTERS = 1024  # as events.k8s.io/v1, through which others read them


def of_transition(
    metadata: Json, happened: Happened, revision: int, reporter: str, now: float
) -> dict[str, Any]:
    """The Event that tells one transition of the ImageClassifier with this `metadata`. `revision`, of the
    routing, tells apart what happens twice.
    """
    about = "" if happened.version is None else f"Version {happened.version}: "
    message = f"{about}{happened.meaning}"
    if happened.blame is not None:
        message = f"{about}{happened.blame.reason.value}: {happened.blame.message}"
    kind = "Normal" if happened.blame is None else "Warning"
    told = f"{metadata.get('generation', 0)}/{revision}/{happened.version}/{happened.percent}"
    return _event(metadata, kind, happened.name, happened.phase.value, message, told, reporter, now)


def of_problem(metadata: Json, problem: Problem, reporter: str, now: float) -> dict[str, Any]:
    """The Event that tells what keeps the operator from acting."""
    reason, told = problem.reason.value, str(metadata.get("generation", 0))
    return _event(metadata, "Warning", reason, "Reconcile", problem.message, told, reporter, now)


def _event(
    metadata: Json,
    kind: str,
    reason: str,
    action: str,
    message: str,
    told: str,
    reporter: str,
    now: float,
) -> dict[str, Any]:
    name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
    digest = hashlib.sha256(f"{uid}/{reason}/{message}/{told}".encode()).hexdigest()[:16]
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[:MAX_NAME_CHARACTERS]}.{digest}", "namespace": namespace},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "source": {"component": names.MANAGER},
        "reportingComponent": f"{names.GROUP}/operator",
        "reportingInstance": reporter[:128],
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": name,
            "namespace": namespace,
            "uid": uid,
        },
        "type": kind,
        "reason": reason,
        "action": action,
        "message": message[:MAX_MESSAGE_CHARACTERS],
    }
