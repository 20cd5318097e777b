"""The routing file: tells each gateway which version gets which share of the requests. Pure.

It is made from the state alone. Both are in the ConfigMap `<name>-routing`; a digest over both shows whether
somebody else has edited them.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api import ModelVersion, names
from imageclassifier_operator.api.quantity import cores
from imageclassifier_operator.api.serving import MAX_CALLS, ServingSettings
from imageclassifier_operator.rollout.state import State

SCHEMA = 1

CALLS_PER_CORE = 2
"""One call computes while the next one is on its way."""


def shares(state: State) -> dict[int, int]:
    """The percentage of the requests for each version that gateways connect to.

    The percentages sum to 100. The result is empty while no version serves.
    """
    if state.serving is None:
        return {}
    percents = {state.serving.version: 100}
    if state.previous is not None:
        percents[state.previous.version] = 0
    if state.candidate is not None and state.phase in LISTED:
        percents[state.candidate.version] = state.percent
        percents[state.serving.version] -= state.percent
    return percents


LISTED = ("Verify", "Shift")
"""The phases in which the routing file lists a candidate."""


def routing_file(name: str, namespace: str, state: State) -> dict[str, Any] | None:
    """The routing file (its form is in docs/architecture.md); None while no version serves."""
    if state.serving is None:
        return None
    listed = state.kept
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "revision": state.revision,
        "model": state.serving.model_name,
        "serving": state.serving.version,
        "versions": [
            _entry(name, namespace, listed[version], percent)
            for version, percent in sorted(shares(state).items())
        ],
    }
    if state.fallback is not None:
        document["fallback"] = state.fallback
    if state.candidate is not None and state.shadow_percent and state.phase in LISTED:
        document["shadow"] = {"version": state.candidate.version, "percent": state.shadow_percent}
    if state.sticky is not None:
        document["sticky"] = {state.sticky.kind: state.sticky.name}
    return document


def _entry(name: str, namespace: str, served: ModelVersion, percent: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "version": served.version,
        "target": names.serving_target(name, namespace, served.version),
        "percent": percent,
    }
    calls = calls_of_pod(served.serving)
    if calls is not None:
        entry["calls"] = calls
    if served.contract is not None:
        entry["contract"] = dict(served.contract)
    if served.unsure is not None:
        entry["unsure"] = dict(served.unsure)
    if served.unfamiliar is not None:
        entry["unfamiliar"] = dict(served.unfamiliar)
    return entry


def calls_of_pod(serving: ServingSettings) -> int | None:
    """The calls that each pod works on at once; None without a CPU limit: the gateway then decides.

    More would share the same cores, and finish in no order. Batches and GPUs work on many calls together.
    """
    limits = serving.resources.get("limits", {})
    if serving.batching is not None or any("/" in resource for resource in limits):
        return MAX_CALLS
    return min(CALLS_PER_CORE * math.ceil(cores(limits["cpu"])), MAX_CALLS) if "cpu" in limits else None


def to_text(document: Mapping[str, Any]) -> str:
    """JSON with sorted keys, so that equal values have equal texts."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def without_revision(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The routing file without its revision, to compare what two of them route."""
    if document is None:
        return None
    return {key: value for key, value in document.items() if key != "revision"}


def sealed(state: State, routing_text: str) -> str:
    """The state as it is stored: with a digest over itself and the routing file."""
    body = state.to_json()
    return to_text({**body, "digest": _digest(body, routing_text)})


def unsealed(state_text: str, routing_text: str) -> State:
    """The state in a ConfigMap that only this operator has written.

    Raises ValueError, KeyError or TypeError if somebody else has edited or created either text.
    """
    body = json.loads(state_text)
    digest = body.pop("digest")
    if digest != _digest(body, routing_text):
        raise ValueError("the routing ConfigMap was edited by hand")
    return State.from_json(body)


def _digest(body: Mapping[str, Any], routing_text: str) -> str:
    return hashlib.sha256(f"{to_text(body)}\n{routing_text}".encode()).hexdigest()[:16]
