"""Kubernetes Events: for what changes traffic, for what fails, and for what keeps the operator from acting.

The name of an Event contains a digest of what it says. So a repeated reconciliation, or the next leader, does
not post it a second time.

They are Events of the core group, because `kubectl describe` sorts by `firstTimestamp`, which Events of
events.k8s.io do not have.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import EVENTS
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import TakenTransition

MAX_NAME_CHARACTERS = 200  # of the ImageClassifier, whose own name may be too long for an Event's
MAX_MESSAGE_CHARACTERS = 1024  # the limit of events.k8s.io/v1, through which others read them


@dataclass(frozen=True)
class Subject:
    """The object that Events are about, by its `metadata`; the pod that reports them; and the time."""

    metadata: Json
    reporter: str
    now: float


@dataclass(frozen=True)
class _Content:
    """What an Event says. `digest_of`: what tells it apart from an Event with the same text."""

    type: str
    reason: str
    action: str
    message: str
    digest_of: str


STEPS = frozenset({"RolloutStarted", "CandidateLoaded", "PreviousReleased", "RolloutFinished"})
"""The transitions of every rollout that change no traffic: the status shows them, and they get no Event."""


def is_worth_an_event(transition: TakenTransition) -> bool:
    """Whether users want to find the transition in the history: it changes the traffic, or has a cause."""
    return transition.cause is not None or transition.name not in STEPS


def of_transition(subject: Subject, transition: TakenTransition, revision: int) -> dict[str, Any]:
    """The Event about one transition. The routing `revision` tells apart transitions that happen twice."""
    generation = subject.metadata.get("generation", 0)
    content = _Content(
        type="Normal" if transition.cause is None else "Warning",
        reason=transition.name,
        action=transition.phase.value,
        message=transition.message,
        digest_of=f"{generation}/{revision}/{transition.version}/{transition.percent}",
    )
    return _event(subject, content)


def of_problem(subject: Subject, problem: Problem) -> dict[str, Any]:
    """The Event about what prevents the operator from acting."""
    generation = str(subject.metadata.get("generation", 0))
    content = _Content("Warning", problem.reason.value, "Reconcile", problem.message, generation)
    return _event(subject, content)


def _event(subject: Subject, content: _Content) -> dict[str, Any]:
    metadata = subject.metadata
    name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
    text = f"{uid}/{content.reason}/{content.message}/{content.digest_of}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    time = datetime.fromtimestamp(subject.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{name[:MAX_NAME_CHARACTERS]}.{digest}", "namespace": namespace},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
        "source": {"component": names.MANAGER},
        "reportingComponent": f"{names.GROUP}/operator",
        "reportingInstance": subject.reporter[:128],
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": name,
            "namespace": namespace,
            "uid": uid,
        },
        "type": content.type,
        "reason": content.reason,
        "action": content.action,
        "message": content.message[:MAX_MESSAGE_CHARACTERS],
    }
