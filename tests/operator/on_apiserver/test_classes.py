"""Thousands of classes, inline and from a ConfigMap, on a real API server with its limits on sizes."""

import json
import random
from typing import Any

import pytest

from bare_apiserver import ApiError
from imageclassifier_gateway.contract.class_list import listed_classes
from imageclassifier_operator.api import names as names_of_api
from imageclassifier_operator.api.class_list import MAX_STORED_BYTES, stored_text
from operator_process import CLASSIFIERS, Bench

pytestmark = pytest.mark.apiserver

FROM_CONFIG_MAP = {"configMap": {"name": "labels", "key": "labels.txt"}}
QUICK: dict[str, Any] = {"gateway": {"timeoutSeconds": 1}}
MIB = 2**20
APPLY = "application/apply-patch+yaml"


def names(count: int, seed: int = 0, digits: int = 7) -> list[str]:
    """Names that hardly compress."""
    draw = random.Random(seed)
    return [f"{number}-{draw.getrandbits(4 * digits):0{digits}x}" for number in range(count)]


def write_config_map(bench: Bench, data: dict[str, str], method: str = "POST") -> None:
    path = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "labels"}, "data": data}
    bench.apiserver.request(method, path if method == "POST" else f"{path}/labels", body)


def routed_names(bench: Bench, version: int) -> list[str]:
    """The names of the classes, as the gateway reads them from the routing file."""
    [entry] = [each for each in bench.routing()["versions"] if each["version"] == version]
    return [each["name"] for each in listed_classes(entry["contract"]["classes"])]


def server(total_bytes: int) -> dict[str, Any]:
    """`spec.serving` with a template of about `total_bytes`."""
    count = -(-total_bytes // 4096)
    env = [{"name": f"VARIABLE_{n}", "value": "x" * (total_bytes // count)} for n in range(count)]
    return {"template": {"spec": {"containers": [{"name": "model-server", "env": env}]}}}


def size(body: Any) -> int:
    return len(json.dumps(body, ensure_ascii=False).encode())


def test_the_longest_list_of_classes_is_stored_as_each_of_several_managers_applies_it(bench: Bench) -> None:
    """etcd takes objects of 1.5 MiB. The managers are those of a life: created, then applied, then GitOps."""
    classes = [{"name": name} for name in names(5_000, digits=47)]
    assert 0.98 * MIB / 4 < sum(len(each["name"]) for each in classes) <= MIB / 4
    bench.create(1, classes=classes)
    path = f"{CLASSIFIERS.format(bench.namespace)}/pizza"
    body = {"apiVersion": names_of_api.API_VERSION, "kind": names_of_api.KIND, "metadata": {"name": "pizza"}}
    for manager in ("kubectl", "argocd-controller", "kustomize-controller"):
        classes = [*classes[1:-1], classes[0]]
        query, spec = f"fieldManager={manager}&force=true", {"classes": classes}
        stored = bench.apiserver.request("PATCH", f"{path}?{query}", {**body, "spec": spec}, APPLY)
        assert stored["spec"]["classes"] == classes
    assert size(stored) < MIB / 2


def test_two_classes_with_one_name_are_in_the_status(bench: Bench) -> None:
    bench.create(1, classes=[{"name": "crane"}, {"name": "heron"}, {"name": "crane"}], **QUICK)
    bench.wait(lambda: bench.condition("Ready").get("reason") == "InvalidSpec", "the refusal")
    assert "the name crane twice, for the outputs 0 and 2 of the model" in bench.condition("Ready")["message"]


@pytest.mark.parametrize("count", [1_000, 5_000])
def test_thousands_of_classes_in_the_spec_are_rolled_out(bench: Bench, count: int) -> None:
    classes = [{"name": name, "displayName": "crane"} for name in names(count)]
    bench.create(1, classes=classes, **QUICK)
    bench.verify(1)
    bench.wait_ready(1)
    assert routed_names(bench, 1) == [each["name"] for each in classes]


def test_the_largest_class_file_fits_into_every_object_while_three_versions_exist(bench: Bench) -> None:
    """The limits are 1 MiB for a ConfigMap and 256 KiB for the annotations of an object.

    The plan of a verification has two class files and the pictures of the spec, the annotation of a
    Deployment a class file and the template.
    """
    texts = {f"labels-{version}.txt": "\n".join(names(10_400, version, 11)) for version in (1, 2)}
    stored = max(size(stored_text(text, "f")) for text in texts.values())
    assert 0.95 * MAX_STORED_BYTES < stored <= MAX_STORED_BYTES + 100
    write_config_map(bench, texts)

    def reference(version: int) -> dict[str, Any]:
        return {"configMap": {"name": "labels", "key": f"labels-{version}.txt"}}

    pictures = [{"name": f"n{n}", "label": "pizza", "picture": {"base64": "A" * 131_072}} for n in range(4)]
    rollout = {"allowClassChange": True, "acceptance": {"cases": pictures}}
    bench.create(1, classesFrom=reference(1), rollout=rollout, serving=server(66 * 1024), **QUICK)
    bench.verify(1)
    bench.wait_ready(1)
    for version in (2, 3):
        spec = {"model": {"version": version}, "classesFrom": reference(2)}
        bench.patch({"spec": spec})
        bench.verify(version)
        bench.wait_ready(version)
    config_maps = bench.get("/api/v1/namespaces/{}/configmaps")["items"]
    assert max(size(each.get("data") or {}) for each in config_maps) < MIB
    assert routed_names(bench, 3) == texts["labels-2.txt"].splitlines()
    for deployment in bench.deployments().values():
        assert size(deployment["metadata"]["annotations"]) < MIB // 4


def test_what_cannot_be_stored_with_a_version_is_refused_before_anything_is_written(bench: Bench) -> None:
    bench.create(1, serving=server(210 * 1024))
    bench.wait(lambda: bench.condition("Ready").get("reason") == "InvalidSpec", "the refusal")
    assert "at most 204,800 can be stored" in bench.condition("Ready")["message"]
    assert bench.deployments() == {}


def test_the_missing_class_file_is_in_the_status_until_it_exists(bench: Bench) -> None:
    bench.create(1, classesFrom=FROM_CONFIG_MAP, **QUICK)
    bench.wait(
        lambda: (
            bench.condition("Ready").get("reason") == "InvalidSpec"
            and "ConfigMap labels" in bench.condition("Ready")["message"]
        ),
        "the missing ConfigMap in the status",
    )
    write_config_map(bench, {"classes.txt": "cat\ndog"})
    bench.wait(lambda: "Its keys: classes.txt" in bench.condition("Ready")["message"], "the missing key")
    write_config_map(bench, {"labels.txt": "\n".join(names(10_000))}, "PUT")
    bench.verify(1)
    bench.wait_ready(1)
    assert routed_names(bench, 1) == names(10_000)


def test_a_version_that_serves_keeps_its_classes_when_the_config_map_changes(bench: Bench) -> None:
    write_config_map(bench, {"labels.txt": "cat\ndog"})
    bench.create(1, classesFrom=FROM_CONFIG_MAP, **QUICK)
    bench.verify(1)
    bench.wait_ready(1)
    write_config_map(bench, {"labels.txt": "dog\ncat"}, "PUT")
    bench.wake_operator("look")
    assert routed_names(bench, 1) == ["cat", "dog"]
    assert bench.condition("Ready")["status"] == "True"


def test_classes_in_the_directory_of_the_model_are_left_to_its_pods(bench: Bench) -> None:
    bench.create(1, classesFrom={"modelFile": {}}, **QUICK)
    bench.verify(1)
    bench.wait_ready(1)
    [entry] = bench.routing()["versions"]
    assert entry["contract"]["classes"] == {"servable": "pizza.classes"}
    [pod] = bench.pods("serving")
    assert [each["image"] for each in pod["spec"]["initContainers"]] == ["pizza-model:1", "gateway:test"]
    with pytest.raises(ApiError, match="cannot change"):
        bench.patch({"spec": {"classesFrom": {"modelFile": {"path": "names.txt"}}}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"classes": [{"name": f"{n:04}{'é' * 140}"} for n in range(1000)]}, "more than 256 KiB"),
        ({"classes": [{"name": name} for name in names(5_001)]}, "Too many"),
        ({"classes": [{"name": "a"}, {"name": "b" * 256}]}, "Too long"),
        ({"classes": [{"name": "a"}, {"name": "b"}], "classesFrom": FROM_CONFIG_MAP}, "Remove one of them"),
    ],
)
def test_the_api_server_refuses_classes_that_could_not_be_stored(
    bench: Bench, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError, match=message):
        bench.create(1, **spec)


def test_the_class_file_of_a_serving_version_cannot_be_exchanged(bench: Bench) -> None:
    write_config_map(bench, {"labels.txt": "cat\ndog"})
    bench.create(1, classesFrom=FROM_CONFIG_MAP, **QUICK)
    bench.verify(1)
    bench.wait_ready(1)
    with pytest.raises(ApiError, match="cannot change"):
        bench.patch({"spec": {"classesFrom": {"configMap": {"key": "other.txt"}}}})
