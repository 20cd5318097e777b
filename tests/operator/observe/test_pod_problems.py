"""Problems of pods: each message names the pod, the container and what to do."""

import pytest

from broken_pods import LOAD_ERROR, container, crashed, pod, waiting
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.pod_problems import diagnose, is_ready
from rendered import SPECS, all_children

UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}
UNBOUND = (
    '0/1 nodes are available: persistentvolumeclaim "models" not found. preemption: 0/1 nodes are available: '
    "1 Preemption is not helpful for scheduling."
)


@pytest.mark.parametrize(
    ("broken", "reason", "words", "fatal"),
    [
        (
            pod(containers=[waiting("ErrImagePull", "failed to pull: not found")]),
            "ImagePullFailed",
            "tf:1",
            False,
        ),
        (pod(conditions=[UNSCHEDULABLE]), "Unschedulable", "Insufficient memory", False),
        (
            pod(conditions=[{**UNSCHEDULABLE, "message": UNBOUND}]),
            "VolumeFailed",
            'persistentvolumeclaim "models" not found. Create',
            False,
        ),
        (
            pod(containers=[crashed("OOMKilled", code=137)]),
            "OutOfMemory",
            "spec.serving.resources.limits.memory",
            True,
        ),
        (
            pod(containers=[crashed("OOMKilled", code=137, name="gateway")]),
            "OutOfMemory",
            "spec.gateway.resources.limits.memory",
            True,
        ),
        (pod(containers=[crashed(message=LOAD_ERROR)]), "ModelLoadFailed", "not a SavedModel", True),
        (pod(containers=[crashed(message="terminate called")]), "ContainerCrashed", "exit code 1", True),
        (
            pod(
                inits=[
                    crashed(
                        message="cp: cannot stat '/models/x/2/saved_model.pb': No such file",
                        name="model-files",
                    )
                ]
            ),
            "ModelNotFound",
            "saved_model.pb",
            False,
        ),
        (
            pod(containers=[waiting("CreateContainerConfigError", "secret x not found")]),
            "ContainerConfigInvalid",
            "secret x not found. Create or correct the object",
            False,
        ),
        (pod(reason="Evicted", message="low on ephemeral-storage"), "PodEvicted", "ephemeral-storage", False),
        (
            pod(containers=[container(started=True, state={"running": {}})]),
            "NotAnswering",
            "readiness probe",
            False,
        ),
    ],
)
def test_each_problem_names_its_pod_and_cause_and_whether_it_is_fatal(broken, reason, words, fatal):
    problem = diagnose([broken])
    assert problem is not None
    assert (problem.reason.value, problem.fatal) == (reason, fatal)
    assert "pizza-serving-v2-abc" in problem.message
    assert words in problem.message


@pytest.mark.parametrize(
    "word", ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"]
)
def test_every_reason_why_an_image_cannot_be_pulled_is_reported(word):
    problem = diagnose([pod(containers=[waiting(word, "rpc error: it is so")])])
    assert problem.reason is Reason.IMAGE_PULL_FAILED
    assert "cannot pull image tf:1: rpc error: it is so. Check that the nodes can reach" in problem.message
    assert problem.message.endswith("or change spec.serving.image or spec.serving.imagePullSecrets.")


@pytest.mark.parametrize(
    ("body", "component", "container", "secrets"),
    [
        ("smallest", "serving", "model-files", "spec.model.source.image.pullSecrets"),
        ("volume", "serving", "model-files", "spec.serving.imagePullSecrets"),
        ("smallest", "serving", "model-server", "spec.serving.imagePullSecrets"),
        ("smallest", "gateway", "gateway", "spec.gateway.imagePullSecrets"),
        ("smallest", "verify", "verify", "spec.gateway.imagePullSecrets"),
        ("smallest", "verify", "dataset-files", "spec.rollout.acceptance.dataset.source.image.pullSecrets"),
    ],
)
def test_an_image_that_cannot_be_pulled_names_the_field_with_its_pull_secrets(
    body, component, container, secrets
):
    template = next(
        child["spec"]["template"]
        for child in all_children(SPECS[body]).values()
        if child["kind"] in ("Deployment", "Job")
        and child["metadata"]["labels"]["app.kubernetes.io/component"] == component
    )
    failing = pod(containers=[{**waiting("ErrImagePull"), "name": container}])
    failing["spec"] = template["spec"]
    assert diagnose([failing]).message.endswith(f" or {secrets}.")


def test_the_worst_problem_is_reported_in_any_order_of_the_pods():
    stuck = pod("a", conditions=[UNSCHEDULABLE])
    broken = pod("b", containers=[crashed(message=LOAD_ERROR)])
    assert diagnose([stuck, broken]) == diagnose([broken, stuck])
    assert diagnose([stuck, broken]).reason is Reason.MODEL_LOAD_FAILED


def test_pods_that_are_ready_or_leaving_have_no_problems():
    assert diagnose([pod(ready=True, containers=[crashed("OOMKilled")])]) is None
    assert diagnose([pod(leaving=True, containers=[crashed("OOMKilled")])]) is None
    assert not is_ready(pod(ready=True, leaving=True))


def test_pods_that_are_just_starting_have_no_problems():
    assert (
        diagnose([pod(containers=[waiting("ContainerCreating")], inits=[waiting("PodInitializing")])]) is None
    )
    assert diagnose([]) is None


def test_a_volume_that_cannot_be_mounted_is_reported_from_the_events():
    event = {
        "involvedObject": {"kind": "Pod", "name": "pizza-serving-v2-abc"},
        "reason": "FailedMount",
        "message": 'MountVolume.SetUp failed for volume "model": no such claim',
    }
    problem = diagnose([pod()], events=[event])
    assert problem.reason is Reason.VOLUME_FAILED
    assert problem.message.startswith("Pod pizza-serving-v2-abc cannot mount a volume: MountVolume")
    assert "no such claim. Check that the volume exists" in problem.message
    assert diagnose([pod(ready=True)], events=[event]) is None


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ('secret "pizza-keys" not found', "Create the Secret pizza-keys, or correct its name in the spec."),
        ('configmap "labels" not found', "Create the ConfigMap labels, or correct its name in the spec."),
    ],
)
def test_a_missing_secret_or_config_map_is_named_with_what_to_do(missing, advice):
    event = {
        "involvedObject": {"kind": "Pod", "name": "pizza-serving-v2-abc"},
        "reason": "FailedMount",
        "message": f'MountVolume.SetUp failed for volume "api-keys" : {missing}',
    }
    assert diagnose([pod()], events=[event]).message.endswith(f"{missing}. {advice}")


STARTED = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    "late",
    [
        pod(inits=[container(name="model-files", state=STARTED)]),
        pod(inits=[container(name="model-files", state={"terminated": {"exitCode": 0}}, ready=True)]),
        pod(containers=[container(state=STARTED)]),
        pod(containers=[waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 0}})]),
        pod(conditions=[{"type": "PodReadyToStartContainers", "status": "True"}]),
    ],
)
def test_a_volume_that_was_mounted_late_is_no_longer_a_problem(late):
    """The Event stays for an hour."""
    event = {
        "involvedObject": {"kind": "Pod", "name": "pizza-serving-v2-abc"},
        "reason": "FailedMount",
        "message": 'MountVolume.SetUp failed for volume "model": no such claim',
    }
    assert diagnose([late], events=[event]) is None


def test_an_image_is_called_by_the_name_that_the_spec_has():
    told = pod(containers=[{**waiting("ErrImagePull"), "name": "c", "image": "docker.io/other:tag"}])
    told["spec"] = {"containers": [{"name": "c", "image": "pizza-model:1"}]}
    problem = diagnose([told])
    assert problem is not None
    assert "pizza-model:1" in problem.message
    assert "other" not in problem.message
