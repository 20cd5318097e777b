"""The parts around the decisions: queue, cache, comparison, verification, recovery, judging, memory."""

import asyncio
import json
from dataclasses import replace

import pytest

from imageclassifier_operator.api import ImageSource, Limits, ServedVersion, ServingSettings, names
from imageclassifier_operator.api.kinds import DEPLOYMENTS, IMAGE_CLASSIFIERS, PODS, WARNINGS, WATCHED
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.gateway_client import parse_report
from imageclassifier_operator.observe.types import Counters, GatewayReport, VersionReport
from imageclassifier_operator.observe.verdict import verdict
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.rollout import analysis, routing
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.cache import Cache, key_of
from imageclassifier_operator.runtime.drift import contains, needs_writing
from imageclassifier_operator.runtime.work_queue import Key, RetrySoonError, WorkQueue

KEY = Key("default", "pizza")


def served(version: int) -> ServedVersion:
    return ServedVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


# -- the queue --------------------------------------------------------------------------------


def work(queue: WorkQueue, handle, is_done, workers: int = 2) -> None:
    """Works until it is done, and a moment more, so that what should not follow can be seen."""

    async def main() -> None:
        running = [asyncio.create_task(queue.work(handle, lambda _: None)) for _ in range(workers)]
        async with asyncio.timeout(30):
            while not is_done() and not (await asyncio.wait(running, timeout=0.005))[0]:
                pass
        await asyncio.wait(running, timeout=0.1)
        for task in running:
            task.cancel()
        for result in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    asyncio.run(main())


def test_a_key_is_never_worked_on_twice_at_once_and_repeats_collapse():
    queue, running, most, runs = WorkQueue(), 0, 0, 0

    async def handle(key: Key) -> None:
        nonlocal running, most, runs
        running, runs = running + 1, runs + 1
        most = max(most, running)
        if runs == 1:
            for _ in range(5):
                queue.add(key)  # while it is worked on: once more, not five times
        await asyncio.sleep(0.01)
        running -= 1

    for _ in range(5):
        queue.add(KEY)
    work(queue, handle, lambda: runs >= 2)
    assert (most, runs) == (1, 2)


def test_a_key_that_failed_comes_back_by_itself(monkeypatch):
    monkeypatch.setattr("imageclassifier_operator.runtime.work_queue.FIRST_BACKOFF_SECONDS", 0.01)
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 3)
    assert runs == 3


def test_a_key_that_has_failed_often_is_tried_again_as_soon_as_it_must(monkeypatch):
    monkeypatch.setattr("imageclassifier_operator.runtime.work_queue.FIRST_BACKOFF_SECONDS", 600.0)
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RetrySoonError("the API server is busy", 0.01)

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 3)
    assert runs == 3


def test_a_key_that_has_failed_for_days_is_still_tried_again():
    queue, runs = WorkQueue(), 0
    queue._failures[KEY] = 5_000

    async def handle(key: Key) -> None:
        nonlocal runs
        runs += 1
        raise RetrySoonError("the API server is busy", 0.01)

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 2)
    assert runs >= 2


def test_a_key_may_ask_to_be_seen_again_later():
    queue, runs = WorkQueue(), 0

    async def handle(key: Key) -> float | None:
        nonlocal runs
        runs += 1
        return 0.01 if runs < 4 else None

    queue.add(KEY)
    work(queue, handle, lambda: runs >= 4)
    assert runs == 4


# -- the cache --------------------------------------------------------------------------------


def deployment(version: str = "1", uid: str = "u", **extra) -> dict:
    metadata = {"name": "pizza-gateway", "namespace": "default", "uid": uid, "resourceVersion": version}
    return {"metadata": {**metadata, "labels": {names.LABEL_INSTANCE: "pizza"}}, **extra}


def cache(**objects: list) -> tuple[Cache, dict]:
    indices = {kind.plural: {} for kind in WATCHED}
    for plural, bodies in objects.items():
        indices[plural][KEY] = bodies
    return Cache(indices), indices


def test_a_write_is_read_back_before_the_watch_has_brought_it():
    store, indices = cache(deployments=[deployment("5")])
    store.written(DEPLOYMENTS, KEY, deployment("7", spec="new"))
    assert store.one(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "new"
    indices["deployments"][KEY] = [deployment("6", spec="old")]
    assert store.one(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "new"
    indices["deployments"][KEY] = [deployment("8", spec="newest")]
    assert store.one(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "newest"


def test_a_deletion_is_believed_before_the_watch_has_brought_it():
    store, _ = cache(deployments=[deployment("5")])
    store.deleted(DEPLOYMENTS, KEY, "pizza-gateway", "u")
    assert store.of(DEPLOYMENTS, KEY) == []


def test_an_object_that_was_deleted_after_our_write_does_not_come_back_from_memory():
    store, indices = cache()
    store.written(DEPLOYMENTS, KEY, deployment("7"))
    store.deleted(DEPLOYMENTS, KEY, "pizza-gateway", "u")
    assert store.of(DEPLOYMENTS, KEY) == []
    indices["deployments"][KEY] = [deployment("9", uid="another")]
    assert len(store.of(DEPLOYMENTS, KEY)) == 1


def test_a_ghost_is_dropped_when_a_list_does_not_have_it():
    store, indices = cache(deployments=[deployment("5", uid="ghost")])
    before = store.uids(DEPLOYMENTS)
    indices["deployments"][KEY].append({**deployment("6", uid="young")})  # made after the list was asked for
    indices["deployments"][KEY][1]["metadata"]["name"] = "pizza-serving-v1"
    assert store.correct(DEPLOYMENTS, before, listed=set()) == {KEY}
    assert [body["metadata"]["uid"] for body in store.of(DEPLOYMENTS, KEY)] == ["young"]


@pytest.mark.parametrize(
    ("about", "key"),
    [
        ({"kind": "Pod", "namespace": "n", "name": "my-pizza-serving-v2-5d4-x"}, Key("n", "my-pizza")),
        ({"kind": "Pod", "namespace": "n", "name": "pizza-gateway-5d4-x"}, Key("n", "pizza")),
        ({"kind": "Job", "namespace": "n", "name": "pizza-verify-v2-0a1b2c"}, Key("n", "pizza")),
        ({"kind": "Pod", "namespace": "n", "name": "nginx-5d4-x"}, None),
        ({"kind": "Node", "name": "pizza-gateway-5d4-x"}, None),
    ],
)
def test_a_warning_is_put_to_the_classifier_whose_pod_it_is_about(about, key):
    assert key_of(WARNINGS, {"metadata": {}, "involvedObject": about}) == key


def test_objects_belong_to_the_classifier_that_their_label_names():
    assert key_of(DEPLOYMENTS, deployment()) == KEY
    assert key_of(IMAGE_CLASSIFIERS, {"metadata": {"name": "pizza", "namespace": "default"}}) == KEY
    assert key_of(PODS, {"metadata": {"name": "x", "namespace": "default"}}) is None


# -- comparing --------------------------------------------------------------------------------


def test_defaults_and_injected_containers_are_left_alone():
    wanted = {"spec": {"containers": [{"name": "a", "image": "i"}]}}
    live = {"spec": {"containers": [{"name": "sidecar"}, {"name": "a", "image": "i", "tty": False}], "x": 1}}
    assert contains(live, wanted)


@pytest.mark.parametrize(
    "live",
    [
        {"spec": {"containers": [{"name": "a", "image": "other"}]}},
        {"spec": {"containers": [{"name": "b", "image": "i"}]}},
        {"spec": {}},
    ],
)
def test_a_foreign_edit_is_seen(live):
    assert not contains(live, {"spec": {"containers": [{"name": "a", "image": "i"}]}})


@pytest.mark.parametrize("of", [{"selector": {}}, {"podSelector": {"matchLabels": {}}}])
def test_a_selector_is_compared_as_a_whole(of):
    """One key more selects other pods, or none."""
    wanted, live = json.loads(json.dumps([of, of]).replace("{}", '{"app": "pizza"}'))
    assert contains({"spec": live}, {"spec": wanted})
    live = json.loads(json.dumps(live).replace('"pizza"', '"pizza", "foo": "bar"'))
    assert not contains({"spec": live}, {"spec": wanted})


def test_a_paused_deployment_is_seen():
    wanted = {"spec": {"paused": False}}
    assert contains({"spec": {}}, wanted)
    assert not contains({"spec": {"paused": True}}, wanted)


def test_a_field_that_is_not_rendered_any_more_is_given_up():
    owned = {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}
    entry = {"manager": "us", "operation": "Apply", "fieldsV1": owned}
    live = {
        "metadata": {"managedFields": [entry]},
        "spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}]},
    }
    full = {"spec": {"replicas": 1, "containers": [{"name": "a", "image": "i"}]}}
    assert not needs_writing(full, live, "us")
    assert needs_writing({"spec": {"containers": [{"name": "a", "image": "i"}]}}, live, "us")
    assert needs_writing({"spec": {"replicas": 1, "containers": [{"name": "a"}]}}, live, "us")
    assert not needs_writing({"spec": {"replicas": 1}}, live, "someone-else")


# -- verification -----------------------------------------------------------------------------

JOB = {"metadata": {"name": "pizza-verify-v2-a"}}


def ended(message: str, code: int) -> dict:
    container = {"name": "verify", "state": {"terminated": {"exitCode": code, "message": message}}}
    return {"metadata": {"name": "pod-1"}, "status": {"containerStatuses": [container]}}


def test_only_a_verdict_in_its_own_words_is_conclusive():
    said = {"schema": 1, "passed": False, "reason": "GoldenFailed", "message": "differs by 0.2."}
    told = verdict(JOB, [ended(json.dumps(said), 1)])
    assert (told.passed, told.conclusive, told.reason) == (False, True, Reason.GOLDEN_FAILED)
    assert told.message == "differs by 0.2"
    assert not verdict(JOB, [ended("Killed", 137)]).conclusive
    assert not verdict(JOB, [ended(json.dumps(said), 2)]).conclusive
    assert not verdict(JOB, [ended("[]", 0)]).passed
    assert verdict(JOB, []) is None


def test_a_verdict_with_an_unknown_reason_still_refuses():
    said = {"schema": 1, "passed": False, "reason": "NewInTheNextRelease", "message": "m"}
    assert verdict(JOB, [ended(json.dumps(said), 1)]).reason is Reason.VERIFICATION_FAILED


def test_the_figures_of_a_verdict_go_into_the_status():
    case = {"name": "c", "expected": "pizza", "label": "x", "probability": 0.1, "passed": False}
    said = {
        "schema": 1,
        "passed": False,
        "reason": "AcceptanceFailed",
        "message": "m",
        "golden": {"cases": 3, "worst_difference": 0.0001},
        "latency_milliseconds": {"p50": 12, "p99": 20},
        "cases_total": 99,
        "cases_passed": 0,
        "cases": [case],
    }
    details = verdict(JOB, [ended(json.dumps(said), 1)]).details
    assert details["casesTotal"] == 99
    assert details["cases"] == [case]
    assert details["latencyMilliseconds"] == {"p50": 12.0, "p99": 20.0}


# -- judging ----------------------------------------------------------------------------------


def report(start_id: str, **figures: Counters) -> GatewayReport:
    versions = {int(v[1:]): VersionReport(ready=True, counters=c) for v, c in figures.items()}
    return GatewayReport(start_id, 1, versions)


def test_a_window_counts_from_its_beginning_and_over_all_gateways():
    since = analysis.baseline([report("a", v2=Counters(100, 50, {"+Inf": 100}))])
    now = [report("a", v2=Counters(130, 53, {"+Inf": 130})), report("b", v2=Counters(10, 2, {"+Inf": 10}))]
    seen = analysis.window(2, json.loads(json.dumps(since)), now)
    assert (seen.requests, seen.errors) == (40, 5)


def test_a_gateway_that_has_gone_takes_its_figures_along():
    since = analysis.baseline([report("a", v2=Counters(100)), report("b", v2=Counters(100))])
    assert analysis.window(2, since, [report("a", v2=Counters(110))]).requests == 10


def window(requests: int, errors: int = 0, slow: int = 0) -> analysis.Window:
    return analysis.Window(requests, errors, {0.1: requests - slow, 1.0: requests, float("inf"): requests})


@pytest.mark.parametrize(
    ("judged", "against", "reason"),
    [
        (window(100, errors=0), window(100), None),
        (window(100, errors=2), window(100), Reason.TOO_MANY_ERRORS),
        (window(100, errors=1), window(100), None),  # as many as the limit allows
        (window(100, errors=10), window(100, errors=10), None),  # the serving version fails alike
        (window(100, errors=12), window(100, errors=10), Reason.TOO_MANY_ERRORS),
        (window(9, errors=9), window(100), None),  # too few to say
        (window(100, slow=2), window(100), Reason.TOO_SLOW),
        (window(100, slow=1), window(100), None),
        (window(100, slow=2), window(100, slow=50), None),  # the serving version is as slow
        (window(100, errors=2), None, Reason.TOO_MANY_ERRORS),
    ],
)
def test_a_version_is_judged_against_the_serving_one_in_the_same_window(judged, against, reason):
    complaint = analysis.complaint(2, judged, against, Limits(0.01, 500), min_requests=10)
    assert (complaint.reason if complaint else None) is reason


# -- recovering -------------------------------------------------------------------------------

STATE = State(revision=4, phase=Phase.STABLE, since=1.0, serving=served(1))


def config_map(state: State) -> dict:
    text = routing.to_text(routing.routing_file("pizza", "default", state))
    return {"data": {routing.ROUTING_KEY: text, routing.STATE_KEY: routing.sealed(state, text)}}


def made_from(version: int, *, served_before: bool, available: int = 1) -> dict:
    annotations = {names.ANNOTATION_SERVED_VERSION: json.dumps(served(version).to_json())}
    if served_before:
        annotations[names.ANNOTATION_HAS_SERVED] = "true"
    return {"metadata": {"annotations": annotations}, "status": {"availableReplicas": available}}


def test_an_intact_config_map_is_the_truth():
    assert recover(config_map(STATE), None, {"servingVersion": 9}, [], 5.0) == STATE


def test_an_edited_config_map_gets_a_revision_that_no_gateway_has_seen():
    edited = config_map(STATE)
    edited["data"][routing.ROUTING_KEY] = edited["data"][routing.ROUTING_KEY].replace(
        '"revision":4', '"revision":40'
    )
    state = recover(edited, STATE, {}, [], 5.0)
    assert (state.revision, state.serving) == (41, served(1))


def test_a_lost_config_map_is_rebuilt_from_the_status():
    state = recover(
        None,
        None,
        {"servingVersion": 2},
        [made_from(1, served_before=True), made_from(2, served_before=False)],
        5.0,
    )
    assert state.serving == served(2)
    assert routing.shares(state) == {2: 100}


def test_without_config_map_and_status_only_a_version_that_has_served_is_believed():
    deployments = [
        made_from(1, served_before=True),
        made_from(2, served_before=True),
        made_from(3, served_before=False),
        made_from(4, served_before=True, available=0),
    ]
    assert recover(None, None, {}, deployments, 5.0).serving == served(2)
    assert recover(None, None, {}, [made_from(3, served_before=False)], 5.0).serving is None


# -- remembering who has acknowledged ---------------------------------------------------------


def pod(uid: str) -> dict:
    return {"metadata": {"uid": uid}}


def test_acknowledgement_counts_from_when_the_last_ready_gateway_gave_it():
    memory = Memory("u")
    memory.hear({"a": GatewayReport("s", 3), "b": GatewayReport("t", 2)})
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 10.0) is None
    memory.hear({"b": GatewayReport("t", 3)})
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 10.0) == 0
    assert memory.acknowledged_seconds(3, [pod("a"), pod("b")], 14.0) == 4
    assert memory.acknowledged_seconds(3, [], 15.0) is None


def test_a_gateway_is_touched_again_only_after_a_while_and_never_once_it_has_acknowledged():
    memory = Memory("u")
    assert memory.needs_touch(pod("a"), 3, 10.0)
    memory.touched(pod("a"), 3, 10.0)
    assert not memory.needs_touch(pod("a"), 3, 10.3)
    assert memory.needs_touch(pod("a"), 3, 10.5)
    assert memory.needs_touch(pod("a"), 4, 10.1)
    memory.hear({"a": GatewayReport("s", 3)})
    assert not memory.needs_touch(pod("a"), 3, 99.0)


def test_a_report_in_another_schema_is_refused():
    document = {"schema": 1, "start_id": "s", "revision": 3, "versions": {}, "shadow": None}
    assert parse_report(document).revision == 3
    with pytest.raises(ValueError, match="schema 2"):
        parse_report({**document, "schema": 2})


def test_equal_states_are_equal_texts_whatever_their_baseline_s_order():
    one = replace(STATE, baseline={"a": {"1": 1}, "b": {"1": 2}})
    other = replace(STATE, baseline={"b": {"1": 2}, "a": {"1": 1}})
    assert routing.sealed(one, "x") == routing.sealed(other, "x")
