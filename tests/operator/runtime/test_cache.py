"""The cache: our own writes and deletions are visible before the watch reports them."""

import pytest

from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import DEPLOYMENTS, IMAGE_CLASSIFIERS, PODS, WARNINGS, WATCHED
from imageclassifier_operator.runtime.cache import MAX_DELETED, Cache, key_of
from imageclassifier_operator.runtime.store import Store
from imageclassifier_operator.runtime.work_queue import Key

KEY = Key("default", "pizza")


def deployment(version: str = "1", uid: str = "u", **extra) -> dict:
    metadata = {"name": "pizza-gateway", "namespace": "default", "uid": uid, "resourceVersion": version}
    return {"metadata": {**metadata, "labels": {names.LABEL_INSTANCE: "pizza"}}, **extra}


def named(name: str, version: str) -> dict:
    body = deployment(version, f"uid of {name}")
    return {**body, "metadata": {**body["metadata"], "name": name}}


def cache(**objects: list) -> tuple[Cache, dict]:
    indices = {kind.plural: {} for kind in WATCHED}
    for plural, bodies in objects.items():
        indices[plural][KEY] = bodies
    return Cache(indices), indices


def test_a_write_is_visible_before_the_watch_reports_it():
    store, indices = cache(deployments=[deployment("5")])
    store.record_write(DEPLOYMENTS, KEY, deployment("7", spec="new"))
    assert store.get(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "new"
    indices["deployments"][KEY] = [deployment("6", spec="old")]
    assert store.get(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "new"
    indices["deployments"][KEY] = [deployment("8", spec="newest")]
    assert store.get(DEPLOYMENTS, KEY, "pizza-gateway")["spec"] == "newest"


@pytest.mark.parametrize("index", ["a mapping", "a store"])
def test_versions_are_those_of_the_objects_whatever_the_watch_has_seen(index: str):
    if index == "a store":
        listed = Store(DEPLOYMENTS)
        for name in ("a", "b", "c"):
            listed.put(named(name, "5"))
    else:
        listed = {KEY: [named(name, "5") for name in ("a", "b", "c")]}
    store = Cache({kind.plural: {} for kind in WATCHED} | {DEPLOYMENTS.plural: listed})
    for name, version in (("a", "4"), ("b", "6"), ("d", "7"), ("e", "8")):
        store.record_write(DEPLOYMENTS, KEY, named(name, version))
    for name in ("c", "e"):
        store.record_deletion(DEPLOYMENTS, KEY, name, f"uid of {name}")
    versions = {name: each.version for name, each in store.versions(DEPLOYMENTS, KEY).items()}
    assert versions == {"a": "5", "b": "6", "d": "7"}
    found = store.objects_of(DEPLOYMENTS, KEY)
    assert {body["metadata"]["name"]: body["metadata"]["resourceVersion"] for body in found} == versions
    assert store.versions(DEPLOYMENTS, Key("default", "another")) == {}


def test_only_the_last_version_that_we_wrote_is_our_own_write():
    store, _ = cache()
    store.record_write(DEPLOYMENTS, KEY, deployment("7"))
    assert not store.has_caught_up(DEPLOYMENTS, KEY, deployment("6"))
    assert not store.has_caught_up(DEPLOYMENTS, KEY, deployment("8"))
    assert not store.has_caught_up(PODS, KEY, deployment("7"))
    assert store.objects_of(DEPLOYMENTS, KEY) == [deployment("7")]
    assert store.has_caught_up(DEPLOYMENTS, KEY, deployment("7"))
    assert store.objects_of(DEPLOYMENTS, KEY) == [], "the index has it now, so it is not kept twice"


def test_a_deletion_is_visible_before_the_watch_reports_it():
    store, _ = cache(deployments=[deployment("5")])
    store.record_deletion(DEPLOYMENTS, KEY, "pizza-gateway", "u")
    assert store.objects_of(DEPLOYMENTS, KEY) == []


def test_an_object_deleted_after_our_write_does_not_reappear_from_memory():
    store, indices = cache()
    store.record_write(DEPLOYMENTS, KEY, deployment("7"))
    store.record_deletion(DEPLOYMENTS, KEY, "pizza-gateway", "u")
    assert store.objects_of(DEPLOYMENTS, KEY) == []
    indices["deployments"][KEY] = [deployment("9", uid="another")]
    assert len(store.objects_of(DEPLOYMENTS, KEY)) == 1


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
def test_a_warning_belongs_to_the_classifier_of_its_pod(about, key):
    assert key_of(WARNINGS, {"metadata": {}, "involvedObject": about}) == key


def test_objects_belong_to_the_classifier_that_their_label_names():
    assert key_of(DEPLOYMENTS, deployment()) == KEY
    assert key_of(IMAGE_CLASSIFIERS, {"metadata": {"name": "pizza", "namespace": "default"}}) == KEY
    assert key_of(PODS, {"metadata": {"name": "x", "namespace": "default"}}) is None


def test_an_object_that_lost_its_labels_is_seen_again_once_it_has_them_back():
    store, _ = cache(deployments=[deployment("5")])
    store.record_deletion(
        DEPLOYMENTS, KEY, "pizza-gateway", "u"
    )  # the watch reports an object that lost its label as deleted
    store.record_event(DEPLOYMENTS, "u")
    assert store.get(DEPLOYMENTS, KEY, "pizza-gateway") is not None


def test_only_the_newest_deletions_are_remembered():
    store, _ = cache()
    for number in range(2 * MAX_DELETED):
        store.record_deletion(PODS, KEY, f"pod-{number}", f"uid-{number}")
    remembered = list(store._deleted_uids[PODS.plural])
    assert remembered == [f"uid-{number}" for number in range(MAX_DELETED, 2 * MAX_DELETED)]


@pytest.mark.parametrize("version", [9, 10, 2_147_483_647])
def test_a_warning_about_a_verification_whose_name_was_cut_is_found(version: int) -> None:
    key = Key("n", "a" * 30 + "-" + "b" * 9)
    pod = names.verify_name(key.name, version, "0" * 12)[:58] + "x4z7q"  # as Kubernetes names a Job's pod
    about = {"kind": "Pod", "namespace": "n", "name": f"{pod}"}
    warning = {"metadata": {"name": "w", "uid": "w"}, "involvedObject": about}
    found = key_of(WARNINGS, warning)
    assert found is not None
    store = Cache({kind.plural: {} for kind in WATCHED} | {WARNINGS.plural: {found: [warning]}})
    assert store.objects_of(WARNINGS, key) == [warning]
