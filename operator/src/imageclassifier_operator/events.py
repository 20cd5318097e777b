"""Kubernetes Events about an ImageClassifier: one for each transition of its rollout, and for what blocks it.

The name of an Event is a digest of what it tells, so the same thing told twice (by a repeated pass, by the
next leader) is one Event.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

from imageclassifier_operator import names
from imageclassifier_operator.decide import Happened
from imageclassifier_operator.observed import Problem
from imageclassifier_operator.spec import ImageClassifier

MAX_NOTE_CHARACTERS = 1024  # events.k8s.io/v1


def of_transition(
    ic: ImageClassifier, happened: Happened, revision: int, reporter: str, now: float
) -> dict[str, Any]:
    """The Event that tells one transition. `revision`, of the routing, tells apart what happens twice."""
    about = "" if happened.version is None else f"Version {happened.version}: "
    note = f"{about}{happened.meaning}"
    if happened.blame is not None:
        note = f"{about}{happened.blame.reason.value}: {happened.blame.message}"
    kind = "Normal" if happened.blame is None else "Warning"
    told = f"{ic.generation}/{revision}/{happened.version}/{happened.percent}"
    return _event(ic, kind, happened.name, happened.phase.value, note, told, reporter, now)


def of_problem(ic: ImageClassifier, problem: Problem, reporter: str, now: float) -> dict[str, Any]:
    """The Event that tells what keeps the operator from acting."""
    return _event(
        ic, "Warning", problem.reason.value, "Reconcile", problem.message, f"{ic.generation}", reporter, now
    )


def _event(
    ic: ImageClassifier, kind: str, reason: str, action: str, note: str, told: str, reporter: str, now: float
) -> dict[str, Any]:
    digest = hashlib.sha256(f"{ic.uid}/{reason}/{note}/{told}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{ic.name}.{digest}", "namespace": ic.namespace},
        "eventTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": reporter[:128],
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": ic.name,
            "namespace": ic.namespace,
            "uid": ic.uid,
        },
        "type": kind,
        "reason": reason,
        "action": action,
        "note": note[:MAX_NOTE_CHARACTERS],
    }
