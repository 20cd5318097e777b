"""The store of a reflector: which parts of an object it keeps, and to which ImageClassifier it belongs."""

from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import DEPLOYMENTS, FIELD_MANAGER, PODS
from imageclassifier_operator.runtime.store import Store
from imageclassifier_operator.runtime.work_queue import Key

PIZZA, SOUP = Key("food", "pizza"), Key("food", "soup")


def body(version: int = 1, of: str | None = "pizza", **extra) -> dict:
    labels = {} if of is None else {names.LABEL_INSTANCE: of}
    metadata = {
        "name": "x",
        "namespace": "food",
        "uid": "u",
        "resourceVersion": str(version),
        "labels": labels,
    }
    return {"metadata": {**metadata, "labels": labels}, **extra}


def test_an_object_is_found_under_its_classifier_in_its_newest_version():
    store = Store(DEPLOYMENTS)
    assert store.put(body(1, spec={"replicas": 1})) == {PIZZA}
    assert store.put(body(2, spec={"replicas": 2})) == {PIZZA}
    assert [found["spec"] for found in store[PIZZA]] == [{"replicas": 2}]
    assert (set(store), store.uids()) == ({PIZZA}, {"u"})


def test_a_resource_version_that_is_already_stored_causes_no_reconciliation():
    store = Store(DEPLOYMENTS)
    store.put(body(1))
    assert store.put(body(1)) == set()


def test_an_object_that_changes_its_classifier_concerns_both():
    store = Store(DEPLOYMENTS)
    store.put(body(1))
    assert store.put(body(2, of="soup")) == {PIZZA, SOUP}
    assert set(store) == {SOUP}
    assert store.put(body(3, of=None)) == {SOUP}
    assert (set(store), store.uids()) == (set(), set())


def test_an_object_that_is_gone_leaves_nothing():
    store = Store(DEPLOYMENTS)
    store.put(body(1))
    removed = store.remove("u")
    assert removed is not None
    assert (removed.key, removed.name) == (PIZZA, "x")
    assert (len(store), store.uids(), store.remove("u")) == (0, set(), None)


def test_of_managed_fields_the_operators_own_are_kept_and_the_others_keep_their_places():
    store, pods = Store(DEPLOYMENTS), Store(PODS)
    fields = [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}},
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {"f:spec": {}}},
    ]
    given = body()
    given["metadata"]["managedFields"] = fields
    store.put(given)
    assert store[PIZZA][0]["metadata"]["managedFields"] == [
        {"manager": "kubectl", "operation": "Update"},
        fields[1],
    ]
    pods.put(given)
    assert "managedFields" not in pods[PIZZA][0]["metadata"]


def test_of_a_pod_everything_is_kept_that_problems_are_found_by():
    store = Store(PODS)
    volumes = [
        {"name": "model", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    container = {"name": "init", "image": "i", "command": ["cp"], "args": ["/models/a/1"], "env": [{}]}
    spec = {"nodeName": "n", "restartPolicy": "Never", "initContainers": [container], "volumes": volumes}
    store.put(body(spec=spec, status={"phase": "Pending"}))
    kept = store[PIZZA][0]
    assert kept["spec"] == {
        "nodeName": "n",
        "restartPolicy": "Never",
        "initContainers": [{"name": "init", "image": "i", "command": ["cp"], "args": ["/models/a/1"]}],
        "containers": [],
        "volumes": volumes[:1],
    }
    assert kept["status"] == {"phase": "Pending"}
