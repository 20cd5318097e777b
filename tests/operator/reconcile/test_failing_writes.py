"""A reconciliation with a refused write still does all other work and reports the error."""

import asyncio
import contextlib
import copy
import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS, JOBS, PODS, WATCHED, Kind, kind_of
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.reconciler import Reconciler
from imageclassifier_operator.reconcile.requeue import ANALYSIS_RETRY_SECONDS, BLOCKED_RETRY_SECONDS
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key, RetrySoonError
from imageclassifier_operator.settings import Settings

KEY = Key("food", "pizza")
IC: dict[str, Any] = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "resourceVersion": "1", "generation": 1},
    "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
}
SETTINGS = Settings(
    gateway_image="gateway",
    serving_image="tf",
    watch_namespace=None,
    pod_name="operator-0",
    pod_namespace="default",
)
DOWN = ApiError(500, "InternalError", 'failed calling webhook "down.example.org": connection refused')


class PlayedApiServer:
    """Accepts every write except those with an error in `answers`, by verb and name (empty: all)."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], ApiError] = {}
        self.written: list[str] = []
        self.deleted: list[str] = []
        self.events: list[str] = []
        self.status: dict[str, Any] = {}
        self._version = 10

    def _answer(self, verb: str, name: str) -> None:
        error = self.answers.get((verb, name)) or self.answers.get((verb, ""))
        if error is not None:
            raise error

    def _kept(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._version += 1
        kept = copy.deepcopy(dict(body))
        kept["metadata"] |= {"resourceVersion": str(self._version), "uid": f"uid-{kept['metadata']['name']}"}
        return kept

    async def read(self, *_: Any) -> None:
        return None

    async def find(self, *_: Any) -> None:
        return None

    async def create(self, kind: Kind, _: str, manifest: dict[str, Any]) -> dict[str, Any]:
        return await self.apply(kind, manifest)

    async def apply(self, kind: Kind, manifest: dict[str, Any], basis: Any = None) -> dict[str, Any]:
        name = f"{kind.kind} {manifest['metadata']['name']}"
        self._answer("apply", name)
        self.written.append(name)
        return self._kept(manifest)

    async def delete(self, kind: Kind, _: str, name: str, __: str) -> None:
        self.deleted.append(f"{kind.kind} {name}")

    async def annotate_pod(self, _: str, name: str, annotations: Mapping[str, str]) -> None:
        self._answer("annotate", name)
        self.written.append(f"Pod {name}: {','.join(annotations.values())}")

    async def create_event(self, _: str, event: Mapping[str, Any]) -> None:
        self._answer("event", event["reason"])
        self.events.append(event["reason"])

    async def apply_status(self, _: Any, status: dict[str, Any]) -> dict[str, Any]:
        self._answer("status", "")
        self._version += 1
        self.status = status
        metadata = {**IC["metadata"], "resourceVersion": str(self._version)}
        return {**IC, "metadata": metadata, "status": status}

    @property
    def ready(self) -> tuple[str, str, str]:
        """Status, reason and message of the condition Ready; empty while there is no status."""
        conditions = {c["type"]: c for c in self.status.get("conditions", ())}
        found = conditions.get("Ready", {"status": "", "reason": "", "message": ""})
        return found["status"], found["reason"], found["message"]


class DeafGateways:
    """Gateways that do not respond."""

    async def fetch_reports(self, _: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        return {}


class World:
    """The first version has just passed its verification; one gateway waits for it."""

    def __init__(self) -> None:
        ic = api.parse(IC)
        goal = goal_of(ic, SETTINGS.serving_image, State())
        self.server, self.now = PlayedApiServer(), 100.0
        job = child("Job", names.verify_name("pizza", 1, goal.attempt), "verify", 1)
        self.indices: dict[str, Any] = {kind.plural: {} for kind in WATCHED}
        self.indices |= {
            IMAGE_CLASSIFIERS.plural: {KEY: [IC]},
            JOBS.plural: {KEY: [job]},
            PODS.plural: {KEY: [passed_pod(job), gateway_pod()]},
        }
        self.reconciler = Reconciler(
            Cache(self.indices),
            self.server,  # type: ignore[arg-type]
            DeafGateways(),
            SETTINGS,
            lambda: self.now,
        )
        state = State(phase=Phase.VERIFY, since=99.0, candidate=goal.wanted, attempt=goal.attempt)
        self.reconciler.memories[KEY] = Memory("u", state=state)
        self.job = job

    def passes(self, count: int) -> float | None:
        """The result or the exception of the last reconciliation; errors of the earlier ones are ignored."""
        for _ in range(count - 1):
            try:
                self.next()
            except ApiError:
                continue
        return self.next()

    def next(self) -> float | None:
        self.now += 1
        return asyncio.run(self.reconciler.reconcile(KEY))


def child(kind: str, name: str, component: names.Component, version: int | None = None) -> dict[str, Any]:
    return {
        "apiVersion": {"Job": "batch/v1", "Deployment": "apps/v1", "ConfigMap": "v1"}[kind],
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "food",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": "1970-01-01T00:01:00Z",
            "labels": names.labels("pizza", component, version),
            "ownerReferences": [names.owner_reference("pizza", "u")],
        },
    }


def passed_pod(job: Mapping[str, Any]) -> dict[str, Any]:
    message = json.dumps({"schema": 1, "passed": True, "reason": None, "message": ""})
    ended = {"terminated": {"exitCode": 0, "message": message}}
    owner = {"kind": "Job", "controller": True, "uid": job["metadata"]["uid"]}
    return {
        "metadata": {
            "name": "verify-x",
            "uid": "v",
            "resourceVersion": "1",
            "labels": names.labels("pizza", "verify", 1),
            "ownerReferences": [owner],
        },
        "status": {"containerStatuses": [{"name": "verify", "state": ended}]},
    }


def gateway_pod() -> dict[str, Any]:
    return {
        "metadata": {
            "name": "gateway-x",
            "namespace": "food",
            "uid": "g",
            "resourceVersion": "1",
            "labels": names.labels("pizza", "gateway"),
        },
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@pytest.fixture
def world() -> World:
    return World()


def test_when_everything_is_taken_the_version_that_passed_serves(world: World) -> None:
    world.passes(2)
    assert world.server.written.count("ConfigMap pizza-routing") == 1
    assert "Pod gateway-x: 1.1" in world.server.written
    assert world.server.events == ["FirstVersionServes"]
    assert world.server.status["servingVersion"] == 1


@pytest.mark.parametrize(
    "error", [DOWN, ApiError(403, "Forbidden", "exceeded quota: small")], ids=["an error", "a refusal"]
)
def test_the_rollout_does_not_advance_when_the_routing_write_fails(world: World, error: ApiError) -> None:
    world.server.answers["apply", "ConfigMap pizza-routing"] = error
    with contextlib.nullcontext() if error.is_refusal else pytest.raises(ApiError):
        assert world.passes(3) == BLOCKED_RETRY_SECONDS
    assert "servingVersion" not in world.server.status
    assert world.server.status["phase"] == "Verify"
    assert error.message in world.server.ready[2]
    assert "FirstVersionServes" not in world.server.events
    assert "Deployment pizza-gateway" in world.server.written, "the other children do not depend on it"
    world.server.answers.clear()
    world.passes(2)
    assert world.server.status["servingVersion"] == 1
    assert world.server.events.count("FirstVersionServes") == 1


def test_gateways_that_cannot_be_annotated_delay_no_child_and_no_event(world: World) -> None:
    world.server.answers["annotate", "gateway-x"] = DOWN
    with pytest.raises(ApiError):
        world.next()
    assert "Deployment pizza-serving-v1" in world.server.written
    with pytest.raises(ApiError):
        world.next()
    assert world.server.ready[:2] == ("False", "ApiRefused")
    assert "down.example.org" in world.server.ready[2]
    assert "FirstVersionServes" in world.server.events
    world.server.answers.clear()
    world.passes(3)
    assert world.server.ready[1] != "ApiRefused"
    assert world.server.events.count("FirstVersionServes") == 1


def test_a_failed_touch_is_retried_at_once(world: World) -> None:
    world.server.answers["annotate", "gateway-x"] = DOWN
    with pytest.raises(ApiError):
        world.next()
    world.server.answers.clear()
    world.now -= 1  # no time has passed: the next touch is not due yet
    world.next()
    assert "Pod gateway-x: 1.1" in world.server.written


@pytest.mark.parametrize(
    "error", [ApiError(0, "Unreachable", "no route"), ApiError(409, "Conflict", "it has changed")]
)
def test_a_transient_error_is_not_a_refusal(world: World, error: ApiError) -> None:
    world.server.answers["apply", "Service pizza-gateway"] = error
    with pytest.raises(ApiError):
        world.passes(3)
    assert world.server.ready == ("", "", "")
    assert "ApiRefused" not in world.server.events


@pytest.mark.parametrize(
    ("what", "error"),
    [
        (("apply", "Service pizza-gateway"), DOWN),
        (("apply", "Service pizza-gateway"), ApiError(0, "Unreachable", "no route")),
        (("status", ""), ApiError(500, "InternalError", "etcd is slow")),
    ],
    ids=["a child", "the connection", "the status"],
)
def test_a_candidate_with_traffic_is_reconciled_often_even_while_writes_fail(
    world: World, what: tuple[str, str], error: ApiError
) -> None:
    goal = goal_of(api.parse(IC), SETTINGS.serving_image, State())
    serving = dataclasses.replace(goal.wanted, version=2)
    state = State(phase=Phase.SHIFT, serving=serving, candidate=goal.wanted, attempt=goal.attempt, percent=10)
    world.reconciler.memories[KEY] = Memory("u", state=state)
    world.server.answers[what] = error
    with pytest.raises(RetrySoonError, match=error.message) as raised:
        world.next()
    assert raised.value.seconds == ANALYSIS_RETRY_SECONDS


def test_a_refused_event_is_dropped_and_blocks_nothing(world: World) -> None:
    world.server.answers["event", ""] = ApiError(403, "Forbidden", "exceeded quota: count/events")
    world.passes(2)
    assert world.server.status["servingVersion"] == 1
    assert world.server.events == []


def test_verifications_of_earlier_attempts_are_removed_and_the_present_one_stays(world: World) -> None:
    """Its pods keep their logs, and the status keeps its figures, while the spec requests this version."""
    earlier = names.verify_name("pizza", 1, "0123456789ab")
    plans = [child("ConfigMap", name, "verify", 1) for name in (earlier, world.job["metadata"]["name"])]
    for body in (child("Job", earlier, "verify", 1), *plans):
        world.indices[kind_of(body).plural].setdefault(KEY, []).append(body)
    world.passes(2)
    assert sorted(world.server.deleted) == [f"ConfigMap {earlier}", f"Job {earlier}"]


@pytest.mark.parametrize("created", ["1969-12-31T23:00:00Z", "1970-01-01T01:00:00Z"])
def test_a_verification_without_a_verdict_is_retried_after_the_same_time_whatever_the_api_servers_clock(
    world: World, created: str
) -> None:
    world.job["metadata"]["creationTimestamp"] = created
    world.job["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
    world.indices[PODS.plural][KEY] = [gateway_pod()]
    name = f"Job {world.job['metadata']['name']}"
    world.passes(5)
    assert name not in world.server.deleted
    world.next()
    assert world.server.deleted.count(name) == 1
