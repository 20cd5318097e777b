"""Single steps of the reconciler without an API server: leader election, caches, retries and Events."""

import asyncio
from typing import Any

import pytest
from waiting import wait_in_loop

from imageclassifier_operator import __main__ as program
from imageclassifier_operator import api, render
from imageclassifier_operator.api.kinds import DEPLOYMENTS, IMAGE_CLASSIFIERS, WATCHED, Kind
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.reconciler import Reconciler
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.reconcile.status_writer import StatusWriter
from imageclassifier_operator.rollout import Decision, TakenTransition
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.informer import Informer
from imageclassifier_operator.runtime.work_queue import Key, Urgency, WorkQueue
from imageclassifier_operator.settings import Settings

KEY = Key("food", "pizza")
BODY: dict[str, Any] = {
    "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "resourceVersion": "1", "generation": 1},
    "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
}


class FirstInLine:
    """A replica that acquires the Lease at once and keeps it."""

    async def acquire(self) -> None: ...

    async def hold(self) -> None:
        await asyncio.Event().wait()


class OneThere:
    """An API server with one ImageClassifier."""

    async def list_uids(self, _: Kind) -> set[str]:
        return {BODY["metadata"]["uid"]}


@pytest.mark.parametrize(
    ("children_are_listed", "classifier_is_listed"), [(False, True), (True, False), (True, True)]
)
def test_a_new_leader_reconciles_nothing_before_every_kind_is_listed(
    children_are_listed: bool, classifier_is_listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a version that serves would look like one that is not wanted: its Deployment is there, its routing
    not yet. What came into the queue meanwhile, or while another led, is looked at then."""
    looked_at: list[Key] = []

    async def reconcile(_: Reconciler, key: Key) -> None:
        looked_at.append(key)

    monkeypatch.setattr(Reconciler, "reconcile", reconcile)

    every_kind_is_listed = children_are_listed and classifier_is_listed

    async def lead() -> None:
        queue = WorkQueue()
        informer = Informer(queue)
        informer._cache = Cache(
            {kind.plural: {} for kind in WATCHED} | {IMAGE_CLASSIFIERS.plural: {KEY: [BODY]}}
        )
        informer.started.set()
        queue.add(KEY)
        if children_are_listed:
            informer.children_listed.set()
        if classifier_is_listed:
            informer._classifiers.put({**BODY, "metadata": {**BODY["metadata"], "resourceVersion": "1"}})
        leading = asyncio.create_task(
            program._lead(
                program._Process(informer, OneThere(), None, SETTINGS, asyncio.Event(), asyncio.Event()),
                FirstInLine(),
            )  # type: ignore[arg-type]
        )
        if every_kind_is_listed:
            await wait_in_loop(lambda: bool(looked_at) or leading.done(), "a reconciliation")
        else:
            await asyncio.sleep(0.05)  # what is wrong would happen meanwhile
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)

    asyncio.run(lead())
    assert looked_at == ([KEY] if every_kind_is_listed else [])


SETTINGS = Settings(
    gateway_image="gateway",
    serving_image="tf",
    watch_namespace=None,
    pod_name="operator-0",
    pod_namespace="default",
    probe_port=0,
    metrics_port=0,
    resync_seconds=1,
)


def test_an_object_that_went_while_the_answer_to_a_write_was_under_way_stays_gone() -> None:
    cache = Cache({kind.plural: {} for kind in WATCHED})
    deployment = {"metadata": {"name": "pizza-serving-v1", "uid": "d", "resourceVersion": "7"}}
    cache.record_deletion(DEPLOYMENTS, KEY, "pizza-serving-v1", "d")
    cache.record_write(DEPLOYMENTS, KEY, deployment)
    assert cache.objects_of(DEPLOYMENTS, KEY) == []


class BusyApiServer:
    """Accepts an Event only at the second attempt."""

    def __init__(self) -> None:
        self.tries = 0
        self.taken: list[str] = []

    async def create_event(self, _: str, event: dict[str, Any]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise ApiError(503, "Unavailable", "busy")
        self.taken.append(event["reason"])


def test_events_are_posted_by_a_later_reconciliation_when_the_api_server_is_busy() -> None:
    memory = Memory("u")
    objects, installation = Objects([], [], []), render.Installation("gateway", "default")
    request = ValidRequest(KEY, BODY, objects, memory, 5.0, None, api.parse(BODY), {}, installation)
    server = BusyApiServer()
    writer = StatusWriter(Cache({kind.plural: {} for kind in WATCHED}), server, "operator-0")  # type: ignore[arg-type]
    taken = tuple(
        TakenTransition(name, "It is so.", Phase.LOAD, 2, 0) for name in ("ShareChanged", "TookOver")
    )

    async def two_passes() -> None:
        writer.record_transitions(request, Decision(State(), taken))
        with pytest.raises(ApiError):
            await writer.post_events(request)
        writer.record_transitions(request, Decision(State()))
        await writer.post_events(request)
        await writer.post_events(request)

    asyncio.run(two_passes())
    assert server.taken == ["ShareChanged", "TookOver"]


@pytest.mark.parametrize(
    ("generation", "phase", "urgency"),
    [
        (1, "Stable", Urgency.AT_REST),
        (2, "Stable", Urgency.CHANGED),
        (1, "Load", Urgency.CHANGED),
        (1, "Shift", Urgency.ANALYSIS),
        (2, "Settle", Urgency.ANALYSIS),
    ],
)
def test_a_new_leader_looks_first_at_what_somebody_waits_for(
    generation: int, phase: str, urgency: Urgency
) -> None:
    body = {
        **BODY,
        "metadata": {**BODY["metadata"], "generation": generation},
        "status": {"observedGeneration": 1, "phase": phase},
    }
    cache = Cache({kind.plural: {} for kind in WATCHED} | {IMAGE_CLASSIFIERS.plural: {KEY: [body]}})
    reconciler = Reconciler(cache, None, None, SETTINGS)  # type: ignore[arg-type]
    assert reconciler.urgency(KEY) is urgency
