"""The ImageClassifiers of the benchmark: creates and changes them, and waits for their status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from api import Api, Json, at_once

from imageclassifier_operator.api import names

PATH = f"/apis/{names.API_VERSION}/namespaces/{{}}/{names.PLURAL}"
EVERYWHERE = f"/apis/{names.API_VERSION}/{names.PLURAL}"


class Namespaces:
    """Spreads classifiers over namespaces."""

    def __init__(self, all_names: Sequence[str]) -> None:
        self._names = all_names

    def of(self, index: int) -> str:
        return self._names[index % len(self._names)]


def name_of(index: int) -> str:
    return f"pizza-{index}"


def body_of(namespace: str, index: int) -> Json:
    """The smallest ImageClassifier that a user would write."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name_of(index), "namespace": namespace},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}},
    }


def serves(body: Json, version: int) -> bool:
    """Whether `version` gets all requests, by a status of the current spec."""
    status = body.get("status") or {}
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ())
    is_current = status.get("observedGeneration") == body["metadata"]["generation"]
    return ready and is_current and status.get("servingVersion") == version


class Classifiers:
    """All ImageClassifiers, as a watch shows them."""

    def __init__(self, api: Api, namespaces: Namespaces) -> None:
        self._api, self._namespaces = api, namespaces
        self._bodies: dict[str, Json] = {}
        self._waits: dict[str, tuple[Callable[[Json], bool], asyncio.Future[float]]] = {}

    async def follow(self) -> None:
        """Watch until cancelled."""
        async for event in self._api.watch(EVERYWHERE):
            body = event["object"]
            name = body["metadata"]["name"]
            self._bodies[name] = body
            wait = self._waits.get(name)
            if wait is not None and wait[0](body):
                del self._waits[name]
                wait[1].set_result(time.monotonic())

    async def wait(self, name: str, condition: Callable[[Json], bool], seconds: float) -> float:
        """The time at which `condition` holds for the classifier `name`. Raises TimeoutError."""
        body = self._bodies.get(name)
        if body is not None and condition(body):
            return time.monotonic()
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waits[name] = condition, future
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError as error:
            status = (self._bodies.get(name) or {}).get("status")
            raise TimeoutError(f"{name} does not get there within {seconds:g} s: {status}") from error

    async def create(self, indices: range, seconds: float) -> float:
        """Create many. Returns the seconds from the first POST until all are Ready."""
        began = time.monotonic()
        waits = [
            asyncio.create_task(self.wait(name_of(index), lambda body: serves(body, 1), seconds))
            for index in indices
        ]
        bodies = [body_of(self._namespaces.of(index), index) for index in indices]
        await at_once(
            partial(self._api.request, "POST", PATH.format(body["metadata"]["namespace"]), body)
            for body in bodies
        )
        return max(await asyncio.gather(*waits)) - began

    async def merge(self, index: int, spec: dict[str, Any]) -> None:
        """Merge `spec` into that of one classifier."""
        path = PATH.format(self._namespaces.of(index))
        await self._api.merge(f"{path}/{name_of(index)}", {"spec": spec})

    async def bump(self, index: int, version: int, seconds: float = 120) -> float:
        """Ask for another version. Returns the seconds until it serves."""
        began = time.monotonic()
        await self.merge(index, {"model": {"version": version}})
        return await self.wait(name_of(index), lambda body: serves(body, version), seconds) - began

    async def roll_back(self, index: int, start: Callable[[], Any], seconds: float = 120) -> float:
        """Start a canary of the next version, then its failure with `start`.

        Returns the seconds until the version is rolled back.
        """
        steps = [{"percent": 50, "durationSeconds": 3600}]
        await self.merge(index, {"model": {"version": 2}, "rollout": {"steps": steps}})
        await self.wait(name_of(index), lambda body: _share(body, 2) == 50, seconds)
        await asyncio.sleep(3)  # the gateways have acknowledged the step
        began = time.monotonic()
        await start()
        return await self.wait(name_of(index), lambda body: _share(body, 2) == 0, seconds) - began


def _share(body: Json, version: int) -> int:
    """The share of the traffic of `version` in the status, in percent."""
    traffic = (body.get("status") or {}).get("traffic") or ()
    return next((entry["percent"] for entry in traffic if entry["version"] == version), 0)
