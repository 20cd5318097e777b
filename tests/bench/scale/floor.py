"""What Kubernetes alone needs: plain clients that only POST objects, 16 requests at once.

The floor POSTs what a classifier cannot do without: two Deployments, two Services and one ConfigMap, as the
operator renders them but without owner and our extra labels. It ends when all Deployments are available.

The second client POSTs all children that the operator writes until a classifier is Ready. So it adds the
verification's Job, the NetworkPolicies and the PodDisruptionBudget. It ends when all Jobs are complete, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from api import Api, Json, at_once
from classifiers import Namespaces, body_of

from imageclassifier_operator import render
from imageclassifier_operator.api import ImageClassifier, parse
from imageclassifier_operator.api.kinds import DEPLOYMENTS, JOBS, Kind, kind_of
from imageclassifier_operator.render import verification_plan
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import State

INSTALLATION = render.Installation("gateway:bench", "imageclassifier-system")
GATEWAY_REPLICAS = 2

Manifests = Callable[[str, int], list[Json]]
"""The manifests of one classifier, by its namespace and number."""


def least(namespace: str, index: int) -> list[Json]:
    """The five objects that a classifier cannot do without."""
    ic = _classifier(namespace, index)
    version = goal_of(ic, "tensorflow/serving:bench", State()).wanted
    return _without_owner(
        [
            render.gateway_deployment(ic, INSTALLATION, GATEWAY_REPLICAS),
            render.shared_children(ic, INSTALLATION)[0],
            *render.serving_children(ic, version, 1)[:2],
            _routing(ic),
        ]
    )


def all_children(namespace: str, index: int) -> list[Json]:
    """All children that the operator writes until the first version is Ready."""
    ic = _classifier(namespace, index)
    goal = goal_of(ic, "tensorflow/serving:bench", State())
    plan = verification_plan.plan(ic, goal.wanted, None)
    return _without_owner(
        [
            render.gateway_deployment(ic, INSTALLATION, GATEWAY_REPLICAS),
            *render.shared_children(ic, INSTALLATION),
            *render.serving_children(ic, goal.wanted, 1),
            *render.verify_job(ic, goal.wanted, plan, goal.attempt, INSTALLATION),
            _routing(ic),
        ]
    )


def _classifier(namespace: str, index: int) -> ImageClassifier:
    body: dict[str, Any] = body_of(namespace, index)
    body["metadata"] |= {"uid": f"uid-{index}", "generation": 1}
    return parse(body)


def _routing(ic: ImageClassifier) -> Json:
    return render.routing_config_map(ic, '{"schema": 1}', "{}")


def _without_owner(manifests: Iterable[Json]) -> list[Json]:
    found = []
    for manifest in manifests:
        metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
        found.append({**manifest, "metadata": metadata})
    return found


async def measure(api: Api, namespaces: Namespaces, objects: int, manifests: Manifests) -> float:
    """The seconds from the first POST until all Deployments are available and all Jobs are complete."""
    wanted = [manifest for index in range(objects) for manifest in manifests(namespaces.of(index), index)]
    waits = [
        asyncio.create_task(_wait(api, kind, done, count))
        for kind, done in ((DEPLOYMENTS, "availableReplicas"), (JOBS, "succeeded"))
        if (count := sum(kind_of(manifest) == kind for manifest in wanted))
    ]
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await at_once(
        partial(api.request, "POST", kind_of(manifest).path(manifest["metadata"]["namespace"]), manifest)
        for manifest in wanted
    )
    await asyncio.gather(*waits)
    return time.monotonic() - began


async def _wait(api: Api, kind: Kind, done: str, count: int) -> None:
    """Wait until `count` objects have the field `done` in their status."""
    names: set[str] = set()
    async for event in api.watch(kind.path(None)):
        body = event["object"]
        if (body.get("status") or {}).get(done):
            names.add(body["metadata"]["name"])
        if len(names) == count:
            return
