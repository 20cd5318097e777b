"""Programs that the node's processor cannot run: the message names the image, the field and the nodes."""

from typing import Any

import pytest

from broken_pods import container, crashed, pod, waiting
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose

IMAGE_OF_MODEL, IMAGE_OF_SERVER = "spec.model.source.image.reference", "spec.serving.image"


def with_claim(broken: dict[str, Any]) -> dict[str, Any]:
    """The pod with its model on a PersistentVolumeClaim."""
    volume = {"name": "model", "persistentVolumeClaim": {"claimName": "models"}}
    return {**broken, "spec": {"volumes": [volume]}}


def start_error(name: str) -> dict[str, Any]:
    """As containerd reports a binary for another architecture."""
    message = (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
        'create failed: unable to start container process: exec: "cp": exec format error: unknown'
    )
    return crashed("StartError", message, 128, name=name)


@pytest.mark.parametrize(
    ("component", "name", "field", "part"),
    [
        ("serving", "model-server", IMAGE_OF_SERVER, "serving"),
        ("gateway", "gateway", "spec.gateway.image", "gateway"),
        ("verify", "verify", "spec.gateway.image", "verification"),
        (
            "verify",
            "dataset-files",
            "spec.rollout.acceptance.dataset.source.image.reference",
            "verification",
        ),
    ],
)
def test_exit_code_132_means_a_processor_without_avx(
    component: str, name: str, field: str, part: str
) -> None:
    broken = pod(containers=[crashed(code=132, name=name)])
    broken["metadata"]["labels"] = {"app.kubernetes.io/component": component}
    problem = diagnose([broken])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (Reason.CONTAINER_CRASHED, True)
    assert "TensorFlow needs AVX" in problem.message
    assert f"Choose nodes that have it in spec.{part}.template.spec.nodeSelector" in problem.message
    assert f"or set {field} to an image" in problem.message


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (pod(inits=[start_error("model-files")]), IMAGE_OF_MODEL),
        (with_claim(pod(inits=[start_error("model-files")])), IMAGE_OF_SERVER),
        (pod(containers=[start_error("model-server")]), IMAGE_OF_SERVER),
        (
            pod(containers=[crashed(message="exec /bin/gateway: exec format error", code=255)]),
            IMAGE_OF_SERVER,
        ),
        (
            pod(
                containers=[waiting("RunContainerError", "exec: tensorflow_model_server: exec format error")]
            ),
            IMAGE_OF_SERVER,
        ),
    ],
)
def test_a_binary_for_another_processor_is_not_called_broken(broken: dict[str, Any], field: str) -> None:
    problem = diagnose([broken])
    assert problem is not None
    assert (problem.reason, problem.fatal) == (Reason.CONTAINER_CRASHED, True)
    assert "cannot start (exec format error): image tf:1 is for another processor" in problem.message
    assert f"Set {field} to an image for this architecture" in problem.message
    assert "kubernetes.io/arch in spec.serving.template.spec.nodeSelector" in problem.message


@pytest.mark.parametrize(
    "message",
    [
        'failed to pull and unpack image "tf:1": no match for platform in manifest: not found',
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
    ],
)
def test_an_image_with_nothing_for_the_processor_of_the_node_is_not_a_wrong_name(message: str) -> None:
    problem = diagnose([pod(containers=[waiting("ErrImagePull", message)])])
    assert problem is not None
    assert problem.reason is Reason.IMAGE_PULL_FAILED
    assert "cannot pull image tf:1: it has nothing for the processor of the node" in problem.message


def test_a_container_that_runs_has_none_of_these_problems() -> None:
    before = {"terminated": {"exitCode": 132}}
    running = container(ready=True, started=True, state={"running": {}}, lastState=before)
    assert diagnose([pod(ready=True, containers=[running])]) is None
