"""ImageClassifiers and pods as the API server returns them: the status is what the operator writes."""

from __future__ import annotations

import dataclasses
from typing import Any

from imageclassifier_operator.api import RolloutSettings, names
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import FailedVersion, HistoryEntry, State
from imageclassifier_operator.status.document import status
from status_examples import FACTS, TWO, well

NOW = 1_800_000_000.0
HISTORY = (
    HistoryEntry(2, "Promoted", NOW - 3600, "", "sha256:0123456789abcdef0123"),
    HistoryEntry(1, "Promoted", NOW - 90_000, "", ""),
)
FAILED = FailedVersion(2, "a", "AcceptanceFailed", "1 of 3 pictures failed: salad.", NOW - 300)


def classifier(
    state: State, snapshot: Snapshot | None = None, *, paused: bool = False, **changes: Any
) -> dict[str, Any]:
    """The object `pizza`, whose spec asks for version 2, in this state. `changes`: of the status."""
    goal = Goal(wanted=TWO, attempt="a", rollout=RolloutSettings(paused=paused))
    facts = dataclasses.replace(FACTS, now=NOW, url="http://pizza-gateway.default.svc")
    written = status(facts, goal, state, snapshot or well(1, 2))
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "pizza", "namespace": "default", "generation": FACTS.generation},
        "spec": {
            "model": {"version": 2, "source": {"image": {"reference": "pizza-model:{version}"}}},
            "rollout": {"paused": paused},
        },
        "status": {**written, **changes},
    }


def pod(name: str, component: str, version: int | None = None, **status: Any) -> dict[str, Any]:
    """A pod that is ready, unless `status` says otherwise."""
    labels = {names.LABEL_COMPONENT: component}
    if version is not None:
        labels[names.LABEL_MODEL_VERSION] = str(version)
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": "2027-01-15T06:00:00Z"},
        "spec": {"nodeName": "node-1"},
        "status": status or ready,
    }


PODS = (
    pod("pizza-gateway-5d4f8c7b9-x2x4k", "gateway"),
    pod("pizza-serving-v1-6c9f7d5b8-7hj2p", "serving", 1),
    pod(
        "pizza-serving-v2-58b9c6d7f-q8w2z",
        "serving",
        2,
        phase="Running",
        containerStatuses=[{"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
    ),
)
