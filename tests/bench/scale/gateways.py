"""One process that plays all gateways, at the addresses of their pods.

    python gateways.py KUBECONFIG CONTROL_PORT

A pod reads the routing file when it starts, and again when its annotation changes, as with a kubelet. On the
control port, PUT /behaviour takes JSON. `silent` has the names of classifiers whose gateways accept
connections but never respond. `failing` has names with the version whose requests all fail afterwards.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from api import Api, Json

ROUTING_ANNOTATION = "imageclassifier.dev/routing"
INSTANCE = "app.kubernetes.io/instance"
PORT = 9697
REQUESTS_PER_SECOND = 200
"""Of each version of a classifier with a failing version, at each gateway."""


@dataclass
class Pod:
    """A gateway pod, and the routing file that it has read."""

    uid: str
    classifier: str
    annotation: str
    file: Json | None = None


@dataclass
class Behaviour:
    """The failures of gateways that the benchmark asks for."""

    silent: set[str] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)
    since: float = 0.0


class Gateways:
    """The routing files from the API server, and what each gateway reports."""

    def __init__(self) -> None:
        self.files: dict[str, Json] = {}
        self.by_address: dict[str, Pod] = {}
        self._pods: dict[str, dict[str, Pod]] = defaultdict(dict)
        self.behaviour = Behaviour()

    async def follow_files(self, api: Api) -> None:
        selector = "labelSelector=app.kubernetes.io/managed-by=imageclassifier-operator"
        async for event in api.watch("/api/v1/configmaps", selector):
            body = event["object"]
            text = (body.get("data") or {}).get("routing.json")
            if text is None:
                continue
            classifier = body["metadata"]["labels"][INSTANCE]
            self.files[classifier] = json.loads(text)
            # A pod that started before there was a file gets the first one by the kubelet's next sync.
            for pod in self._pods[classifier].values():
                if pod.file is None:
                    pod.file = self.files[classifier]

    async def follow_pods(self, api: Api) -> None:
        selector = "labelSelector=app.kubernetes.io/component=gateway"
        async for event in api.watch("/api/v1/pods", selector):
            metadata, status = event["object"]["metadata"], event["object"].get("status") or {}
            address = status.get("podIP")
            if address is None:
                continue
            if event["type"] == "DELETED":
                if self.by_address.pop(address, None) is not None:
                    self._pods[metadata["labels"][INSTANCE]].pop(address, None)
                continue
            classifier = metadata["labels"][INSTANCE]
            annotation = (metadata.get("annotations") or {}).get(ROUTING_ANNOTATION, "")
            pod = self.by_address.get(address)
            if pod is None or pod.uid != metadata["uid"]:
                pod = self.by_address[address] = Pod(metadata["uid"], classifier, annotation)
                self._pods[classifier][address] = pod
                pod.file = self.files.get(classifier)
            elif pod.annotation != annotation:
                pod.annotation, pod.file = annotation, self.files.get(classifier)

    async def report(self, request: web.Request) -> web.StreamResponse:
        """The answer to GET /rollout of one gateway."""
        assert request.transport is not None
        address: str = request.transport.get_extra_info("sockname")[0]
        pod = self.by_address.get(address)
        if pod is None or pod.file is None:
            raise web.HTTPServiceUnavailable
        if pod.classifier in self.behaviour.silent:
            await asyncio.sleep(3600)
        return web.json_response(
            {
                "schema": 1,
                "start_id": pod.uid,
                "revision": pod.file["revision"],
                "routing_error": None,
                "versions": {
                    str(entry["version"]): self._version(pod, entry["version"])
                    for entry in pod.file["versions"]
                },
                "shadow": None,
            }
        )

    def _version(self, pod: Pod, version: int) -> Json:
        failing = self.behaviour.failing.get(pod.classifier)
        requests = int((time.time() - self.behaviour.since) * REQUESTS_PER_SECOND) if failing else 0
        errors = requests if failing == version else 0
        return {
            "ready": True,
            "error": None,
            "requests": requests,
            "errors": errors,
            "latency_seconds": {"buckets": {"0.1": requests, "+Inf": requests}},
        }

    async def behave(self, request: web.Request) -> web.Response:
        wanted: dict[str, Any] = await request.json()
        self.behaviour = Behaviour(set(wanted["silent"]), wanted["failing"], time.time())
        return web.Response()


async def main(kubeconfig: Path, control_port: int) -> None:
    gateways = Gateways()
    for routes, address, port in (
        ([web.get("/rollout", gateways.report)], "0.0.0.0", PORT),
        ([web.put("/behaviour", gateways.behave)], "127.0.0.1", control_port),
    ):
        app = web.Application()
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
    async with Api(kubeconfig) as api, asyncio.TaskGroup() as group:
        group.create_task(gateways.follow_files(api))
        group.create_task(gateways.follow_pods(api))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
