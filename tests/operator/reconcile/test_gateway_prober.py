"""The gateway prober: which ImageClassifiers it probes, and when it has them reconciled."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from waiting import wait_in_loop

from imageclassifier_operator import api
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import PODS, WATCHED
from imageclassifier_operator.observe.gateway_health import SILENCE_SECONDS
from imageclassifier_operator.observe.gateway_intervals import PROBE_SECONDS
from imageclassifier_operator.observe.types import GatewayReport, VersionReport
from imageclassifier_operator.reconcile import gateway_prober
from imageclassifier_operator.reconcile.gateway_prober import GatewayProber
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue

KEY = Key("food", "pizza")
WELL = GatewayReport("s", 4, {1: VersionReport(ready=True)})
LOST = GatewayReport("s", 4, {1: VersionReport(ready=False, error="no contract")})


class PlayedGateways:
    """Gateways with a given report, which count how often they are asked."""

    def __init__(self) -> None:
        self.report: GatewayReport | None = WELL
        self.asked: list[str] = []

    async def fetch_reports(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        uids = [pod["metadata"]["uid"] for pod in pods]
        self.asked += uids
        return {} if self.report is None else dict.fromkeys(uids, self.report)


def gateway_pod(name: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "resourceVersion": "1",
            "labels": {names.LABEL_COMPONENT: "gateway"},
        },
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


class World:
    """One ImageClassifier at rest, whose version 1 serves."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        body = {
            "metadata": {"name": "pizza", "namespace": "food", "uid": "u"},
            "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
        }
        serving = api.parse(body).candidate("tf")
        self.memory = Memory("u", state=State(revision=4, phase=Phase.STABLE, serving=serving))
        self.gateways, self.now = PlayedGateways(), 0.0
        self.memories = {KEY: self.memory}
        self._cache = Cache({kind.plural: {} for kind in WATCHED} | {PODS.plural: {KEY: list(pods)}})

    def prober(self, queue: WorkQueue) -> GatewayProber:
        """A prober that adds to this queue."""
        return GatewayProber(self._cache, self.gateways, self.memories, queue, lambda: self.now)

    def probe(self, now: float) -> bool:
        """Probe at this time. Returns whether the ImageClassifier is to be reconciled."""
        self.now, queue = now, WorkQueue()
        asyncio.run(self.prober(queue).probe(KEY))
        return len(queue) > 0

    def reconciled(self) -> None:
        """A reconciliation has put what the probes found into the status."""
        self.memory.shown_findings = self.memory.gateway_health.findings(1, self.now)


@pytest.fixture
def world() -> World:
    world = World(gateway_pod("gateway"))
    world.probe(0)
    world.reconciled()
    return world


def test_at_rest_a_probe_that_finds_nothing_new_starts_no_reconciliation(world: World) -> None:
    assert [world.probe(now) for now in (30, 60, 90)] == [False, False, False]


def test_an_error_between_pods_that_do_not_change_starts_one_when_it_counts(world: World) -> None:
    world.gateways.report = LOST
    assert world.probe(30), "an error that is too new to count hides the report before it"
    world.reconciled()
    assert world.probe(33)
    world.reconciled()
    assert not world.probe(36)
    world.gateways.report = WELL
    assert world.probe(40)


def test_gateways_that_do_not_answer_any_more_start_one_when_they_count_as_silent(world: World) -> None:
    world.gateways.report = None
    assert not world.probe(30)
    assert world.probe(30 + SILENCE_SECONDS)
    world.reconciled()
    assert not world.probe(60 + SILENCE_SECONDS)


def test_a_gateway_on_another_routing_revision_starts_one(world: World) -> None:
    world.gateways.report = GatewayReport("s", 3, WELL.versions)
    assert world.probe(30)


def test_gateways_are_probed_when_their_container_answers_and_only_ready_ones_may_not_be_silent() -> None:
    broken = gateway_pod("broken", ready=False)
    broken["status"]["containerStatuses"] = [{"started": True, "state": {"running": {}}}]
    world = World(gateway_pod("ready"), gateway_pod("starting", ready=False), broken)
    world.probe(0)
    assert sorted(world.gateways.asked) == ["broken", "ready"]
    world.gateways.report = None
    world.probe(30)
    assert world.memory.gateway_health.silent_since.keys() == {"ready"}


async def looks(prober: GatewayProber, times: int) -> None:
    """Wait until the prober has looked this often, and what it found due is probed."""
    looked, due = 0, prober._due

    def counted() -> list[Key]:
        nonlocal looked
        looked += 1
        return due()

    prober._due = counted  # type: ignore[method-assign]
    await wait_in_loop(lambda: looked >= times, f"{times} looks")
    prober._due = due  # type: ignore[method-assign]


def test_what_is_due_is_probed_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_prober, "DUE_CHECK_SECONDS", 0.001)
    world = World(gateway_pod("gateway"))
    world.memories[Key("food", "new")] = Memory("v", state=None)
    world.memories[Key("food", "unserved")] = Memory("w", state=State())

    async def run_for_a_while(now: float) -> int:
        world.now, before = now, len(world.gateways.asked)
        prober = world.prober(WorkQueue())
        running = asyncio.create_task(prober.run())
        await looks(prober, 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return len(world.gateways.asked) - before

    async def times() -> list[int]:
        return [await run_for_a_while(now) for now in (0.0, 5.0, PROBE_SECONDS, PROBE_SECONDS + 5)]

    assert asyncio.run(times()) == [1, 0, 1, 0]


def test_an_error_of_one_probe_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_prober, "DUE_CHECK_SECONDS", 0.001)
    world = World(gateway_pod("gateway"))
    calls = 0

    async def fails(_: Any) -> dict[str, GatewayReport]:
        nonlocal calls
        calls += 1
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.gateways, "fetch_reports", fails)

    async def run() -> bool:
        running = asyncio.create_task(world.prober(WorkQueue()).run())
        await wait_in_loop(lambda: calls >= 3 or running.done(), "three probes")
        ended = running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return ended

    assert not asyncio.run(run())
    assert calls >= 3
