"""The whole operator against a real API server: kopf's watches, the Lease, the queue, in a thread of the
test.

Only the gateways are played: pods of KWOK run no process that could be asked. `PlayedGateways` answers what
a gateway does that reads the routing file as soon as its pod is touched; tests/contract holds the real one
against the same.
"""

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from bare_apiserver import ApiError
from imageclassifier_operator import names
from imageclassifier_operator.__main__ import run
from imageclassifier_operator.observed import Counters, GatewayReport, ShadowReport, VersionReport
from imageclassifier_operator.settings import Settings


class PlayedGateways:
    """Gateways that apply the newest routing file when touched, and count what the test makes them count."""

    def __init__(self, apiserver: Any) -> None:
        self._apiserver = apiserver
        self._files: dict[str, dict[str, Any]] = {}
        self.counters: dict[int, Counters] = {}
        self.shadow: ShadowReport | None = None
        self.deaf = False
        """No gateway reads anything new."""

    async def ask(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        return {
            pod["metadata"]["uid"]: report
            for pod in pods
            if (report := await asyncio.to_thread(self._one, pod)) is not None
        }

    def _one(self, pod: Mapping[str, Any]) -> GatewayReport | None:
        metadata = pod["metadata"]
        if not self.deaf:
            name = names.routing_name(metadata["labels"][names.LABEL_INSTANCE])
            path = f"/api/v1/namespaces/{metadata['namespace']}/configmaps/{name}"
            with contextlib.suppress(ApiError):  # without a file a gateway goes on with the one it has
                config_map = self._apiserver.request("GET", path)
                self._files[metadata["uid"]] = json.loads(config_map["data"]["routing.json"])
        file = self._files.get(metadata["uid"])
        if file is None:
            return None
        return GatewayReport(
            start_id=metadata["uid"],
            revision=file["revision"],
            versions={
                entry["version"]: VersionReport(
                    ready=True, counters=self.counters.get(entry["version"], Counters())
                )
                for entry in file["versions"]
            },
            shadow=self.shadow,
        )


class RunningOperator:
    """`with RunningOperator(apiserver, gateways):` the operator runs; leaving ends it as SIGTERM does."""

    def __init__(self, kubeconfig: Any, gateways: PlayedGateways, name: str = "operator-0") -> None:
        self._kubeconfig, self._gateways = kubeconfig, gateways
        self.settings = Settings(
            gateway_image="gateway:test",
            serving_image="tensorflow/serving:test",
            watch_namespace=None,
            pod_name=name,
            pod_namespace="default",
            probe_port=_free_port(),
            metrics_port=_free_port(),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.error: BaseException | None = None

    def __enter__(self) -> "RunningOperator":
        os.environ["KUBECONFIG"] = str(self._kubeconfig)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the operator did not end"

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await run(self.settings, self._stop, self._gateways)

        try:
            asyncio.run(main())
        except BaseException as error:
            self.error = error
            raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
