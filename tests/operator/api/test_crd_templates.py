"""What a `template` of pods may have: the API server refuses any other field and gives the reason."""

from typing import Any

import pytest

from bare_apiserver import ApiError
from crd_objects import Apply
from rendered import SPECS

pytestmark = pytest.mark.apiserver

CONTAINERS = {"serving": "model-server", "gateway": "gateway", "verification": "verify"}


def of_pod(**fields: Any) -> dict[str, Any]:
    return {"spec": fields}


def of_container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "@", **fields}]}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a label of the operator": (
        {"metadata": {"labels": {"app.kubernetes.io/component": "web"}}},
        "A label belongs to the operator",
    ),
    "an annotation of the operator": (
        {"metadata": {"annotations": {"imageclassifier.dev/pod-hash": "0"}}},
        "Annotations that begin with imageclassifier.dev/ belong to the operator",
    ),
    "root": (of_pod(securityContext={"runAsUser": 0}), "User 0 is root, and no pod of a classifier needs it"),
    "perhaps root": (
        of_pod(securityContext={"runAsNonRoot": False}),
        "No pod of a classifier needs root. Remove runAsNonRoot.",
    ),
    "a volume of the node": (
        of_pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
        "A volume is a hostPath, which would give the pods the files of their node",
    ),
    "two volumes of a name": (
        of_pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]),
        "Duplicate value",
    ),
    "an init container": (of_pod(initContainers=[{"name": "a"}]), "Only the operator adds init containers"),
    "pull secrets": (
        of_pod(imagePullSecrets=[{"name": "a"}]),
        "Use imagePullSecrets of serving or gateway",
    ),
    "an API token": (of_pod(automountServiceAccountToken=True), "so none gets a token"),
    "the network of the node": (of_pod(hostNetwork=True), "no NetworkPolicy protects the pod"),
    "the processes of the node": (of_pod(hostPID=True), "sees the processes of its node"),
    "the memory of the node": (of_pod(hostIPC=True), "sees the memory that processes"),
    "a node": (of_pod(nodeName="a"), "Use nodeSelector"),
    "a grace period": (of_pod(terminationGracePeriodSeconds=1), "computes the grace period"),
    "a restart policy": (of_pod(restartPolicy="Never"), "Remove restartPolicy"),
    "a field that no pod has": (of_pod(nodeSelektor={}), 'template.spec.nodeSelektor"'),
    "a container of another name": (
        {"spec": {"containers": [{"name": "sidecar"}]}},
        "The only container that can be changed here is",
    ),
    "two containers": (
        {"spec": {"containers": [{"name": "@"}, {"name": "sidecar"}]}},
        "must have at most 1 item",
    ),
    "an image": (of_container(image="a"), "Use image of serving or gateway"),
    "a pull policy": (of_container(imagePullPolicy="Always"), "Use imagePullPolicy of serving or gateway"),
    "resources": (of_container(resources={"limits": {}}), "Use resources of serving or gateway"),
    "a command": (of_container(command=["sh"]), "The command is the operator's"),
    "ports": (of_container(ports=[{"containerPort": 1}]), "The ports are the operator's"),
    "privileges": (of_container(securityContext={"privileged": True}), "The container stays without"),
    "a startup probe": (of_container(startupProbe={}), "Remove startupProbe"),
    "a readiness probe": (of_container(readinessProbe={}), "Remove readinessProbe"),
    "a liveness probe": (of_container(livenessProbe={}), "Remove livenessProbe"),
    "a hook": (of_container(lifecycle={}), "Remove lifecycle"),
    "a mount without a path": (of_container(volumeMounts=[{"name": "a"}]), "mountPath: Required value"),
}
OF_SERVING: dict[str, tuple[dict[str, Any], str]] = {
    "a word": (of_container(args=["fast"]), "An argument is no flag of TensorFlow Serving"),
    "a flag and its value apart": (of_container(args=["--a", "1"]), "Write one flag per entry"),
    "a flag of the operator": (of_container(args=["--port=1"]), "The operator sets a flag that is in args"),
    "a switch of the operator": (of_container(args=["--enable_batching"]), "The operator sets a flag"),
    "the variable of the operator": (
        of_container(env=[{"name": "CPU_LIMIT", "value": "1"}]),
        "set serving.resources.limits.cpu",
    ),
}
OF_GATEWAY: dict[str, tuple[dict[str, Any], str]] = {
    "flags": (of_container(args=["--a=1"]), "args are flags of TensorFlow Serving"),
    "a variable of the operator": (
        of_container(env=[{"name": "GATEWAY_PORT", "value": "1"}]),
        "The operator sets the variables that begin with GATEWAY_",
    ),
}


def with_names(template: dict[str, Any], part: str) -> dict[str, Any]:
    """`template` with the container of `part` where it says @."""
    spec = dict(template.get("spec", {}))
    if "containers" in spec:
        names = {"@": CONTAINERS[part]}
        spec["containers"] = [
            {**each, "name": names.get(each["name"], each["name"])} for each in spec["containers"]
        ]
    return {**template, **({"spec": spec} if spec else {})}


CASES = [
    *((part, what, REFUSED[what]) for part in CONTAINERS for what in REFUSED),
    *(("serving", what, OF_SERVING[what]) for what in OF_SERVING),
    *((part, what, OF_GATEWAY[what]) for part in ("gateway", "verification") for what in OF_GATEWAY),
]


@pytest.mark.parametrize(("part", "what", "case"), CASES, ids=[f"{part}: {what}" for part, what, _ in CASES])
def test_is_refused_with_its_reason(create: Apply, part: str, what: str, case: tuple[Any, str]) -> None:
    template, reason = case
    with pytest.raises(ApiError) as refusal:
        create(**{part: {"template": with_names(template, part)}})
    assert reason in refusal.value.message


def test_what_a_template_may_have_is_stored_as_it_is(create: Apply) -> None:
    spec = SPECS["templates"]
    stored = create(**spec)["spec"]
    for part in CONTAINERS:
        assert stored[part]["template"] == spec[part]["template"]


@pytest.mark.parametrize("flag", ["--enable_profiler=false", "--tensorflow_intra_op_parallelism=4", "--xla"])
def test_other_flags_of_tensorflow_serving_are_taken(create: Apply, flag: str) -> None:
    create(serving={"template": with_names(of_container(args=[flag]), "serving")})


def test_an_empty_security_context_is_kept_because_it_means_something(create: Apply) -> None:
    stored = create(serving={"template": of_pod(securityContext={})})
    assert stored["spec"]["serving"]["template"] == {"spec": {"securityContext": {}}}
