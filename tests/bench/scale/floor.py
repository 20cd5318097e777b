"""The floor: a small client that only POSTs the objects that a classifier needs, 16 requests at once.

These are two Deployments, two Services and one ConfigMap, as the operator renders them but without owner and
our extra labels. The floor is the time until all Deployments are available.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from api import Api, Json, at_once
from classifiers import body_of

from imageclassifier_operator import render
from imageclassifier_operator.api import parse
from imageclassifier_operator.api.kinds import DEPLOYMENTS, kind_of
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import State

INSTALLATION = render.Installation("gateway:bench", "imageclassifier-system")


def manifests(namespace: str, index: int) -> list[Json]:
    """The five objects of one classifier."""
    body: dict[str, Any] = body_of(namespace, index)
    body["metadata"] |= {"uid": f"uid-{index}", "generation": 1}
    ic = parse(body)
    version = goal_of(ic, "tensorflow/serving:bench", State()).wanted
    found = [
        render.gateway_deployment(ic, INSTALLATION, 2),
        render.shared_children(ic, INSTALLATION)[0],
        *render.serving_children(ic, version, 1)[:2],
        render.routing_config_map(ic, '{"schema": 1}', "{}"),
    ]
    for manifest in found:
        del manifest["metadata"]["ownerReferences"]
    return found


async def measure(api: Api, namespace: str, objects: int) -> float:
    """The seconds from the first POST until all Deployments are available."""
    wanted = [manifest for index in range(objects) for manifest in manifests(namespace, index)]
    all_available = asyncio.create_task(_wait_until_available(api, namespace, 2 * objects))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await at_once(
        partial(api.request, "POST", kind_of(manifest).path(namespace), manifest) for manifest in wanted
    )
    await all_available
    return time.monotonic() - began


async def _wait_until_available(api: Api, namespace: str, count: int) -> None:
    available: set[str] = set()
    async for event in api.watch(DEPLOYMENTS.path(namespace)):
        body = event["object"]
        if (body.get("status") or {}).get("availableReplicas"):
            available.add(body["metadata"]["name"])
        if len(available) == count:
            return
    raise RuntimeError("the server ended the watch")
