"""The gateways' reports on the serving version: when they count, and when gateways are polled."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import WATCHED
from imageclassifier_operator.observe.gateway_health import DETECTION_SECONDS, FAILURE_SECONDS, GatewayHealth
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.types import GatewayReport, VersionReport
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.reconcile.snapshot import Snapshotter
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

WELL = GatewayReport("s", 4, {1: VersionReport(ready=True)})
LOST = GatewayReport("s", 4, {1: VersionReport(ready=False, error="no contract")})


def pods(*uids: str) -> list[dict[str, Any]]:
    return [{"metadata": {"uid": uid}} for uid in uids]


@pytest.fixture
def gateway_health() -> GatewayHealth:
    """Of one gateway and one model server, asked once."""
    gateway_health = GatewayHealth()
    gateway_health.observe_ready_pods(pods("gateway", "server"), 0.0)
    gateway_health.record(1, {"gateway": WELL}, 0.0)
    return gateway_health


def test_gateways_are_polled_again_after_the_detection_time_and_then_no_more(
    gateway_health: GatewayHealth,
) -> None:
    assert gateway_health.poll_again_seconds(1, 1.0) == DETECTION_SECONDS - 1
    assert gateway_health.poll_again_seconds(1, 10.0) == 0
    gateway_health.record(1, {"gateway": WELL}, 10.0)
    assert gateway_health.poll_again_seconds(1, 10.0) is None
    assert gateway_health.poll_again_seconds(1, 10_000.0) is None


@pytest.mark.parametrize("ready", [("gateway", "server", "another"), ("gateway",), ("new", "server")])
def test_other_pods_that_become_ready_or_go_are_a_reason_to_ask(
    gateway_health: GatewayHealth, ready: tuple[str, ...]
) -> None:
    gateway_health.record(1, {"gateway": WELL}, 10.0)
    gateway_health.observe_ready_pods(pods(*ready), 20.0)
    assert gateway_health.poll_again_seconds(1, 20.0) == 0


def test_an_error_counts_when_it_lasts_and_gateways_are_polled_until_it_is_gone(
    gateway_health: GatewayHealth,
) -> None:
    gateway_health.record(1, {"gateway": LOST}, 10.0)
    assert gateway_health.report_on("gateway", 1, 10.0) is None
    assert gateway_health.poll_again_seconds(1, 10.0) == FAILURE_SECONDS
    gateway_health.record(1, {"gateway": LOST}, 13.0)
    said = gateway_health.report_on("gateway", 1, 13.0)
    assert said is not None
    assert said.error == "no contract"
    assert gateway_health.poll_again_seconds(1, 100.0) == 0
    gateway_health.record(1, {"gateway": WELL}, 100.0)
    said = gateway_health.report_on("gateway", 1, 100.0)
    assert said is not None
    assert said.ready


def test_a_leader_that_has_heard_nothing_yet_takes_a_complaint_at_its_word() -> None:
    """Or a change of leaders would make the version available for a moment."""
    gateway_health = GatewayHealth()
    gateway_health.record(1, {"gateway": LOST}, 10.0)
    said = gateway_health.report_on("gateway", 1, 10.0)
    assert said is not None
    assert not said.ready


def test_a_gateway_that_does_not_answer_has_said_nothing_new(gateway_health: GatewayHealth) -> None:
    for now in (10.0, 13.0):
        gateway_health.record(1, {"gateway": LOST}, now)
    gateway_health.record(1, {}, 16.0)
    said = gateway_health.report_on("gateway", 1, 16.0)
    assert said is not None
    assert not said.ready


def test_a_report_on_another_version_or_of_a_deleted_pod_does_not_count(
    gateway_health: GatewayHealth,
) -> None:
    assert gateway_health.report_on("gateway", 2, 0.0) is None
    gateway_health.forget_other_pods({"another"})
    assert gateway_health.report_on("gateway", 1, 0.0) is None


def test_a_gateway_without_routing_cannot_use_the_version(
    gateway_health: GatewayHealth,
) -> None:
    for now in (10.0, 13.0):
        gateway_health.record(
            1, {"gateway": GatewayReport("s", 0, routing_error="schema 2 is not known")}, now
        )
    said = gateway_health.report_on("gateway", 1, 13.0)
    assert said is not None
    assert (said.ready, said.error) == (False, "schema 2 is not known")


class Counting:
    """Gateways with given reports, which count how often they are polled."""

    def __init__(self) -> None:
        self.report, self.asked = WELL, 0

    async def fetch_reports(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        self.asked += 1
        return {pod["metadata"]["uid"]: self.report for pod in pods}


BODY: dict[str, Any] = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
    "spec": {"model": {"version": 1, "image": "pizza:{version}"}},
}


def ready_pod(uid: str, component: str, version: int | None = None) -> dict[str, Any]:
    labels = {names.LABEL_COMPONENT: component}
    if version is not None:
        labels[names.LABEL_MODEL_VERSION] = str(version)
    ready = {"type": "Ready", "status": "True"}
    return {"metadata": {"name": uid, "uid": uid, "labels": labels}, "status": {"conditions": [ready]}}


def test_at_rest_gateways_are_polled_only_after_a_change_of_a_pod() -> None:
    ic, gateways, memory = api.parse(BODY), Counting(), Memory("u")
    state = State(revision=4, phase=Phase.STABLE, serving=ic.candidate("tf"))
    snapshotter = Snapshotter(
        Cache({kind.plural: {} for kind in WATCHED}),
        gateways,
        render.Installation("gateway", "default"),
        lambda: 0.0,
    )

    def asked(now: float, *servers: str) -> tuple[int, VersionReport | None]:
        """How often a reconciliation polls, and the report in its snapshot."""
        before = gateways.asked
        there = [ready_pod("gateway", "gateway"), *(ready_pod(uid, "serving", 1) for uid in servers)]
        view = ValidRequest(Key("food", "pizza"), BODY, Objects([], there, []), memory, now, None, ic)
        seen = asyncio.run(snapshotter.take(view, goal_of(ic, "tf", state), state))
        return gateways.asked - before, seen.gateways[0].serving

    assert [asked(now, "one")[0] for now in (0, 1, 5, 6, 1000, 5000)] == [1, 0, 1, 0, 0, 0]
    gateways.report = LOST
    assert asked(6000, "one") == (0, WELL.versions[1])
    assert asked(6001, "two") == (1, None)
    assert asked(6004, "two") == (1, LOST.versions[1])
    gateways.report = WELL
    assert asked(6100, "two") == (1, WELL.versions[1])
    assert asked(6200, "two")[0] == 0
