"""Finding the State again: from the routing ConfigMap, else from what is left when that is lost or was
edited by hand.

In this order: the ConfigMap when only we have written it; what this process remembers; the status; the
highest ready Deployment that is marked as having served. Never a version that has not served: then the
rollout simply starts over.
"""

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from imageclassifier_operator.api import InvalidSpec, ServedVersion, names
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State

Json = Mapping[str, Any]


def recover(
    config_map: Json | None, remembered: State | None, status: Json, deployments: Iterable[Json], now: float
) -> State:
    """The State of an ImageClassifier whose routing ConfigMap, status and serving Deployments are these.

    A state that does not come from an intact ConfigMap gets a new revision, so that gateways which have
    read something else in between cannot be taken for up to date. Where the last revision is not known, it
    is the time: that lies beyond anything counted.
    """
    data = {} if config_map is None else config_map.get("data") or {}
    routing_text, state_text = data.get(routing.ROUTING_KEY, ""), data.get(routing.STATE_KEY, "")
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
        state = State(failed=_failed(status), since=now)
    if not deployments:
        return state
    return replace(state, revision=max(int(now), _written_revision(routing_text) + 1))


def served_version(deployment: Json) -> ServedVersion | None:
    """What a serving Deployment says it was made from; None when it says nothing that can be read."""
    annotations = deployment.get("metadata", {}).get("annotations") or {}
    try:
        return ServedVersion.from_json(json.loads(annotations[names.ANNOTATION_SERVED_VERSION]))
    except (KeyError, TypeError, ValueError, InvalidSpec):
        return None


def has_served(deployment: Json) -> bool:
    annotations = deployment.get("metadata", {}).get("annotations") or {}
    return annotations.get(names.ANNOTATION_HAS_SERVED) == "true"


def _from_status(status: Json, deployments: tuple[Json, ...], now: float) -> State | None:
    number = status.get("servingVersion")
    for deployment in deployments:
        served = served_version(deployment)
        if served is not None and served.version == number:
            return State(phase=Phase.RETIRE, since=now, serving=served, failed=_failed(status))
    return None


def _from_deployments(deployments: tuple[Json, ...], now: float) -> State | None:
    candidates = [
        served
        for deployment in deployments
        if has_served(deployment)
        and (deployment.get("status") or {}).get("availableReplicas", 0) > 0
        and (served := served_version(deployment)) is not None
    ]
    if not candidates:
        return None
    return State(phase=Phase.RETIRE, since=now, serving=max(candidates, key=lambda served: served.version))


def _failed(status: Json) -> tuple[FailedVersion, ...]:
    return tuple(
        FailedVersion(
            version=failed["version"],
            attempt=failed["inputHash"],
            reason=failed["reason"],
            message=failed["message"],
            time=datetime.datetime.fromisoformat(failed["time"]).timestamp(),
        )
        for failed in status.get("failedVersions") or ()
    )


def _written_revision(routing_text: str) -> int:
    """The revision in whatever was found in the ConfigMap, 0 when it cannot be read."""
    try:
        return int(json.loads(routing_text)["revision"])
    except (ValueError, KeyError, TypeError):
        return 0
