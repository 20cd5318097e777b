"""Recovery of the state: from the routing ConfigMap, or without it from memory, status or Deployments. Pure.

The sources are, in this order: the ConfigMap, unless somebody else edited it; the memory of this process; the
status; the highest ready Deployment that is marked as having served. A version that has never served is never
recovered: its rollout starts again.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.common_fields import epoch_seconds
from imageclassifier_operator.observe.model_deployments import has_served, model_version
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import FailedVersion, HistoryEntry, Phase, State


def recover(
    config_map: Json | None, remembered: State | None, status: Json, deployments: Iterable[Json], now: float
) -> State:
    """The state of an ImageClassifier, from its routing ConfigMap, memory, status and Deployments.

    A state that does not come from an intact ConfigMap gets a new revision. So no gateway that has read
    another routing meanwhile counts as up to date. If the last revision is unknown, the new one is the time
    in seconds, which is higher than any counted revision.
    """
    data = {} if config_map is None else config_map.get("data") or {}
    routing_text, state_text = data.get(names.ROUTING_FILE, ""), data.get(names.STATE_FILE, "")
    try:
        return routing.unsealed(state_text, routing_text)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    deployments = tuple(deployments)
    if remembered is not None:
        if remembered.serving is None:
            return remembered
        return replace(remembered, revision=max(remembered.revision, _written_revision(routing_text)) + 1)
    state = _from_status(status, deployments, now) or _from_deployments(deployments, now)
    if state is None:
        state = replace(_remembered(status), since=now)
    if not deployments:
        return state
    return replace(state, revision=max(int(now), _written_revision(routing_text) + 1))


def _from_status(status: Json, deployments: tuple[Json, ...], now: float) -> State | None:
    number = status.get("servingVersion")
    for deployment in deployments:
        served = model_version(deployment)
        if served is not None and served.version == number:
            return replace(_remembered(status), phase=Phase.RETIRE, since=now, serving=served)
    return None


def _from_deployments(deployments: tuple[Json, ...], now: float) -> State | None:
    candidates = [
        served
        for deployment in deployments
        if has_served(deployment)
        and (deployment.get("status") or {}).get("availableReplicas", 0) > 0
        and (served := model_version(deployment)) is not None
    ]
    if not candidates:
        return None
    return State(phase=Phase.RETIRE, since=now, serving=max(candidates, key=lambda served: served.version))


def _remembered(status: Json) -> State:
    """What the status remembers of past rollouts. Before `attempt`, the CRD had another name for it."""
    failed = status.get("failedVersions") or ()
    earlier = any("attempt" not in each for each in failed)
    return State(failed=_failed(status), history=_history(status), earlier_attempts=earlier)


def _failed(status: Json) -> tuple[FailedVersion, ...]:
    return tuple(
        FailedVersion(
            version=failed["version"],
            attempt=failed.get("attempt", ""),
            reason=failed["reason"],
            message=failed["message"],
            time=epoch_seconds(failed["time"]),
        )
        for failed in status.get("failedVersions") or ()
    )


def _history(status: Json) -> tuple[HistoryEntry, ...]:
    return tuple(
        HistoryEntry(
            version=entry["version"],
            verdict=entry["verdict"],
            time=epoch_seconds(entry["time"]),
            reason=entry.get("reason", ""),
            model_digest=entry.get("modelDigest", ""),
        )
        for entry in status.get("history") or ()
    )


def _written_revision(routing_text: str) -> int:
    """The revision in the text of a routing file; 0 if it cannot be read."""
    try:
        return int(json.loads(routing_text)["revision"])
    except (ValueError, KeyError, TypeError):
        return 0
