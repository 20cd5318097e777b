"""A model in an image that Kubernetes mounts as a volume: its pods, its problems, and clusters without it."""

from collections.abc import Callable
from typing import Any

import pytest

from bare_apiserver import ControlPlane
from broken_pods import crashed, pod, waiting
from imageclassifier_operator import api
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import PODS
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.objects import Objects, versions
from imageclassifier_operator.observe.pod_problems import diagnose
from imageclassifier_operator.runtime.store import Store
from rendered import classifier, serving_children

SOURCE = {"reference": "registry.example/pizza:{version}", "mount": "Volume", "pullSecrets": [{"name": "r"}]}


def version(*, searches: bool = False, **changed: Any) -> api.ModelVersion:
    spec = {"model": {"version": 3, "source": {"image": {**SOURCE, **changed}}}}
    served = classifier(spec).candidate("server:1", "gateway:1")
    if not searches:
        return served
    preparer = Preparer("gateway:1")
    return api.ModelVersion.from_json({**served.to_json(), "searches": True, "preparer": preparer.to_json()})


def deployment(served: api.ModelVersion) -> dict[str, Any]:
    return serving_children(served)["Deployment"]


def pod_spec(**changed: Any) -> dict[str, Any]:
    spec: dict[str, Any] = deployment(version(**changed))["spec"]["template"]["spec"]
    return spec


def test_the_image_is_mounted_at_the_server_and_nothing_of_it_runs() -> None:
    spec = pod_spec(pullPolicy="Always")
    image = {"reference": "registry.example/pizza:3", "pullPolicy": "Always"}
    assert {"name": "model", "image": image} in spec["volumes"]
    [check], [server] = spec["initContainers"], spec["containers"]
    assert {check["image"], server["image"]} == {"server:1"}
    mount = {"name": "model", "mountPath": "/models", "readOnly": True}
    assert mount in check["volumeMounts"]
    assert mount in server["volumeMounts"]
    assert check["command"] == ["cp", "/models/models/pizza/3/saved_model.pb", "/dev/null"]
    assert spec["imagePullSecrets"] == [{"name": "r"}]
    annotations = deployment(version())["spec"]["template"]["metadata"]["annotations"]
    assert 'base_path: "/models/models/pizza"' in annotations[names.ANNOTATION_MODEL_CONFIG]


def test_a_directory_with_another_name_is_searched_in_the_mounted_image() -> None:
    [search] = pod_spec(searches=True)["initContainers"]
    assert search["image"] == "gateway:1"
    assert search["args"][:6] == [
        "search", "--root", "/models", "--base", "/models/models/pizza", "--field",
    ]  # fmt: skip


def test_how_the_files_come_is_stored_and_does_not_change_which_files_they_are() -> None:
    mounted, copied = version(), version(mount="Copy")
    assert api.ModelVersion.from_json(mounted.to_json()) == mounted
    assert mounted.source_hash == copied.source_hash
    assert mounted.pod_hash != copied.pod_hash
    assert copied.pod_hash == version(mount=None).pod_hash


@pytest.mark.parametrize(
    "reference", ["registry.example/pizza:3", f"registry.example/pizza@sha256:{'a' * 64}"]
)
def test_the_digest_of_the_model_is_known_only_from_its_name(reference: str) -> None:
    made = deployment(version(reference=reference))
    template = made["spec"]["template"]
    check = {"name": "model-files", "imageID": "server@sha256:1", "state": {}}
    running = {
        "metadata": {**made["metadata"], **template["metadata"], "name": "p", "uid": "u"},
        "spec": template["spec"],
        "status": {"initContainerStatuses": [check]},
    }
    [seen] = versions(Objects([made], [running], []), {}).values()
    assert seen.model_digest == (reference if "@" in reference else "")


def problem_of(init: dict[str, Any], spec: dict[str, Any] | None = None, **changed: Any) -> Any:
    store = Store(PODS)  # keeps only a part of each pod
    broken = {**pod(inits=[init]), "spec": spec or pod_spec(**changed)}
    identity = {"namespace": "food", "uid": "u", "resourceVersion": "1", "labels": names.labels("pizza")}
    store.put({**broken, "metadata": {**broken["metadata"], **identity}})
    [[kept]] = store.values()
    return diagnose([kept])


def test_a_model_image_that_cannot_be_pulled_is_not_taken_for_the_servers() -> None:
    said = 'failed to pull image "registry.example/pizza:3": not found'
    problem = problem_of(waiting("ErrImagePull", said, name="model-files", image="server:1"))
    assert "cannot pull image registry.example/pizza:3" in problem.message
    assert problem.message.endswith(" or spec.model.source.image.pullSecrets.")
    said = 'failed to pull image "server:1": not found'
    problem = problem_of(waiting("ErrImagePull", said, name="model-files", image="server:1"))
    assert "cannot pull image server:1" in problem.message
    assert problem.message.endswith(" or spec.serving.imagePullSecrets.")


def test_a_model_image_for_another_processor_is_not_taken_for_the_servers() -> None:
    said = 'failed to pull and unpack image "registry.example/pizza:3": no match for platform in manifest'
    problem = problem_of(waiting("ErrImagePull", said, name="model-files", image="server:1"))
    assert "cannot pull image registry.example/pizza:3: it has nothing for the processor" in problem.message
    assert "Set spec.model.source.image.reference to an image" in problem.message
    said = 'failed to pull and unpack image "server:1": no match for platform in manifest'
    problem = problem_of(waiting("ErrImagePull", said, name="model-files", image="server:1"))
    assert "cannot pull image server:1: it has nothing for the processor" in problem.message
    assert "Set spec.serving.image to an image" in problem.message


def test_a_missing_model_names_the_image_and_is_searched_next() -> None:
    said = "cp: cannot stat '/models/models/pizza/3/saved_model.pb': No such file or directory"
    problem = problem_of(crashed(message=said, name="model-files"))
    assert (problem.reason, problem.fatal) == (Reason.MODEL_NOT_FOUND, False)
    assert "image registry.example/pizza:3 contains no model in models/pizza/3: cp:" in problem.message
    assert "or correct spec.model.name and spec.model.version." in problem.message
    said = "models/pizza has no version 3, only 2. Set spec.model.version."
    problem = problem_of(crashed(message=said, code=3, name="model-search"), searches=True)
    assert (problem.reason, problem.fatal) == (Reason.MODEL_NOT_FOUND, True)
    assert f"image registry.example/pizza:3: {said}" in problem.message


def create(server: ControlPlane, namespace: str) -> Any:
    body = deployment(version())
    del body["metadata"]["ownerReferences"]
    body["metadata"]["namespace"] = namespace
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All&fieldValidation=Strict"
    return server.request("POST", path, body)


@pytest.mark.apiserver
def test_a_cluster_without_image_volumes_is_named_with_the_field_to_remove(
    apiserver: ControlPlane, namespace: str
) -> None:
    """The API server accepts the Deployment, and drops the volume and its mounts."""
    spec = create(apiserver, namespace)["spec"]["template"]["spec"]
    said = "cp: cannot stat '/models/models/pizza/3/saved_model.pb': No such file or directory"
    problem = problem_of(crashed(message=said, name="model-files"), spec)
    assert (problem.reason, problem.fatal) == (Reason.VOLUME_FAILED, True)
    assert "because this cluster has no image volumes (the feature ImageVolume" in problem.message
    assert "Remove spec.model.source.image.mount, so that the model is copied" in problem.message


@pytest.mark.apiserver
def test_a_cluster_with_image_volumes_stores_the_volume(start_apiserver: Callable[..., ControlPlane]) -> None:
    stored = create(start_apiserver(feature_gates="ImageVolume=true"), "default")
    volumes = {each["name"]: each for each in stored["spec"]["template"]["spec"]["volumes"]}
    assert volumes["model"]["image"]["reference"] == "registry.example/pizza:3"
