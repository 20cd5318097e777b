"""Which ImageClassifiers may change to a new gateway image, and when the next ones may."""

import copy
from typing import Any

import pytest

from imageclassifier_operator import api, render
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import DEPLOYMENTS, WATCHED
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.reconcile.gateway_updates import TURN_SECONDS, GatewayUpdates
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

LIMIT = 2
OLD, NEW = render.Installation("gateway:1", "default"), render.Installation("gateway:2", "default")


class Fleet:
    """ImageClassifiers with gateways of the old image, in a cluster where pods start slowly."""

    def __init__(self, count: int) -> None:
        self.keys = [Key("food", f"pizza-{number}") for number in range(count)]
        self.called: list[Key] = []
        self.deployments = {key: [self.deployment(key, OLD)] for key in self.keys}
        self.now = 0.0
        self.start_operator()

    def start_operator(self) -> None:
        cache = Cache({kind.plural: {} for kind in WATCHED} | {DEPLOYMENTS.plural: self.deployments})
        self.updates = GatewayUpdates(cache, LIMIT, self.called.append)

    def classifier(self, key: Key, **gateway: Any) -> dict[str, Any]:
        metadata = {"name": key.name, "namespace": key.namespace, "uid": key.name, "generation": 3}
        spec = {
            "model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}},
            "gateway": gateway,
        }
        return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": 3}}

    def deployment(self, key: Key, installation: render.Installation, done: bool = True) -> dict[str, Any]:
        manifest = render.gateway_deployment(api.parse(self.classifier(key)), installation, 2)
        replicas = manifest["spec"]["replicas"]
        metadata = {**manifest["metadata"], "uid": "d", "resourceVersion": "1", "generation": 2}
        ready = replicas if done else replicas - 1
        status = {
            "observedGeneration": 2,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "availableReplicas": ready,
        }
        return {**manifest, "metadata": metadata, "status": status}

    def must_wait(self, key: Key, body: dict[str, Any] | None = None) -> bool:
        body = body or self.classifier(key)
        ic, memory = api.parse(body), Memory(key.name)
        wanted = render.gateway_deployment(ic, NEW, 2)
        request = ValidRequest(key, body, Objects([], [], []), memory, self.now, None, ic, wanted, NEW)
        live = self.deployments[key][0] if self.deployments[key] else None
        return self.updates.must_wait(request, live)

    def waiting(self) -> list[Key]:
        return [key for key in self.keys if self.must_wait(key)]

    def update(self, key: Key, done: bool) -> None:
        self.deployments[key] = [self.deployment(key, NEW, done)]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(5)


def test_only_a_few_update_and_the_next_is_called_when_one_has_done_it(fleet: Fleet) -> None:
    assert fleet.waiting() == fleet.keys[2:]
    fleet.update(fleet.keys[0], done=False)
    assert fleet.waiting() == fleet.keys[2:]
    assert fleet.called == []
    fleet.update(fleet.keys[0], done=True)
    assert not fleet.must_wait(fleet.keys[0])
    assert fleet.called == [fleet.keys[2]]
    assert fleet.waiting() == fleet.keys[3:]


def test_all_get_their_turn_one_after_the_other(fleet: Fleet) -> None:
    fleet.waiting()
    done = []
    for key in fleet.keys[:LIMIT]:
        fleet.called.append(key)
    while fleet.called:
        key = fleet.called.pop(0)
        assert not fleet.must_wait(key)
        fleet.update(key, done=True)
        assert not fleet.must_wait(key)
        done.append(key)
    assert done == fleet.keys


def test_a_turn_ends_after_a_while_although_the_pods_are_not_available(fleet: Fleet) -> None:
    fleet.waiting()
    fleet.update(fleet.keys[0], done=False)
    fleet.now = TURN_SECONDS - 1
    assert fleet.updates.seconds_left(fleet.keys[0], fleet.now) == 1
    assert fleet.waiting() == fleet.keys[2:]
    fleet.now = TURN_SECONDS
    assert not fleet.must_wait(fleet.keys[0])
    assert not fleet.must_wait(fleet.keys[2])
    assert fleet.updates.seconds_left(fleet.keys[0], fleet.now) is None


def test_a_new_leader_counts_the_updates_that_the_last_one_began(fleet: Fleet) -> None:
    for key in fleet.keys[3:]:
        fleet.update(key, done=False)
    fleet.start_operator()
    assert fleet.waiting() == fleet.keys[:3]


def test_a_deleted_classifier_leaves_its_turn_to_the_next(fleet: Fleet) -> None:
    fleet.waiting()
    fleet.updates.forget(fleet.keys[0])
    assert fleet.called == [fleet.keys[2]]
    fleet.updates.forget(fleet.keys[3])
    assert fleet.called == [fleet.keys[2]]


def test_one_that_was_called_and_needs_no_turn_any_more_lets_the_next_have_it(fleet: Fleet) -> None:
    fleet.waiting()
    fleet.updates.forget(fleet.keys[0])
    assert not fleet.must_wait(fleet.keys[2], fleet.classifier(fleet.keys[2], image="mine:1"))
    assert fleet.called == fleet.keys[2:4]


def test_what_users_change_does_not_wait(fleet: Fleet) -> None:
    fleet.waiting()
    waiting = fleet.keys[4]
    changed = fleet.classifier(waiting, replicas=3)
    changed["metadata"]["generation"] = 4
    assert not fleet.must_wait(waiting, changed)
    assert not fleet.must_wait(waiting, fleet.classifier(waiting, image="mine:1"))


def test_a_missing_deployment_is_made_at_once(fleet: Fleet) -> None:
    fleet.waiting()
    fleet.deployments[fleet.keys[4]] = []
    assert not fleet.must_wait(fleet.keys[4])
    assert names.gateway_name(fleet.keys[4].name) == "pizza-4-gateway"


def test_gateways_whose_image_admission_rewrites_take_no_turn() -> None:
    fleet = Fleet(1)
    [key] = fleet.keys
    live = copy.deepcopy(fleet.deployment(key, NEW))
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.example.org/gateway:2"
    fleet.deployments[key] = [live]
    assert not fleet.must_wait(key)
    assert fleet.updates.seconds_left(key, fleet.now) is None
