"""Problems of pods: each message names the pod, the container and what to do."""

import doctest
from typing import Any

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import log_excerpts
from imageclassifier_operator.observe.pod_problems import diagnose, diagnose_job, is_ready
from rendered import SPECS, all_children


def pod(
    name="pizza-serving-v2-abc",
    *,
    ready=False,
    leaving=False,
    containers=(),
    inits=(),
    conditions=(),
    **status,
):
    metadata = {"name": name}
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready_condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": metadata,
        "status": {
            "conditions": [*conditions, ready_condition],
            "containerStatuses": list(containers),
            "initContainerStatuses": list(inits),
            **status,
        },
    }


def container(name="model-server", *, image="tf:1", **fields):
    return {"name": name, "image": image, "ready": False, "state": {}, **fields}


def waiting(reason, message="", **fields):
    return container(state={"waiting": {"reason": reason, "message": message}}, **fields)


def crashed(reason="Error", message="", code=1, **fields):
    ended = {"reason": reason, "exitCode": code, "message": message}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
    return container(state=back_off, lastState={"terminated": ended}, **fields)


LOAD_ERROR = (
    "2026-01-01 W external/org_tensorflow/log.cc something harmless\n"
    "Failed to start server. Error: Unknown: 1 servable(s) did not become available: "
    "{{name: pizza version: 2} due to error: Invalid argument: not a SavedModel}\n"
)
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
            True,
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


EVICTED = "The node was low on resource: memory. Container model-server was using 3Gi, request is 1Gi. "


@pytest.mark.parametrize(
    "container_of_it",
    [
        crashed("Error", code=137),
        crashed("ContainerStatusUnknown", code=137),
        crashed("OOMKilled", code=137),
        container(state={"terminated": {"reason": "Error", "exitCode": 137}}),
    ],
)
@pytest.mark.parametrize("reason", ["Evicted", "Terminated", "Preempting", "NodeLost"])
def test_how_containers_ended_when_a_node_ended_their_pod_is_not_held_against_the_version(
    container_of_it, reason
):
    ended = pod(phase="Failed", reason=reason, message=EVICTED, containers=[container_of_it])
    problem = diagnose([ended])
    assert (problem.reason, problem.fatal) == (Reason.POD_EVICTED, False)
    assert f"ended by its node ({reason}): The node was low on resource: memory" in problem.message


@pytest.mark.parametrize("code", [137, 143])
def test_a_killed_container_counts_against_the_version_only_after_repeated_kills(code):
    """A node that shuts down kills containers; the kubelet kills one that fails its liveness probes."""
    killed = {"terminated": {"reason": "Error", "exitCode": code}}
    assert diagnose([pod(containers=[container(state=killed)])]) is None
    restarted = container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=killed)
    first = diagnose([pod(containers=[{**restarted, "restartCount": 1}])])
    assert not first.fatal
    assert "was killed by a signal" in first.message
    assert diagnose([pod(containers=[{**restarted, "restartCount": 4}])]).fatal


def test_a_pod_that_wrote_more_to_disk_than_its_own_limit_is_held_against_the_version():
    own = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "
    problem = diagnose([pod(phase="Failed", reason="Evicted", message=own)])
    assert (problem.reason, problem.fatal) == (Reason.POD_EVICTED, True)
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    nodes = diagnose([pod(phase="Failed", reason="Evicted", message=own, conditions=[condition])])
    assert not nodes.fatal


@pytest.mark.parametrize("lost", [("ContainerStatusUnknown", 137), ("Unknown", 255)])
@pytest.mark.parametrize("kind", ["containers", "inits"])
def test_a_container_that_its_node_lost_in_a_reboot_is_not_held_against_the_version(lost, kind):
    reason, code = lost
    running = crashed(reason, code=code, name="model-files" if kind == "inits" else "model-server")
    running["state"] = {"running": {}}
    problem = diagnose([pod(**{kind: [running]})])
    assert (problem.reason, problem.fatal) == (Reason.CONTAINER_CRASHED, False)
    assert "its node was interrupted" in problem.message


def test_a_problem_of_the_version_is_reported_before_a_problem_of_a_node():
    lost = pod("a", containers=[crashed("Unknown", code=255)])
    broken = pod("b", containers=[crashed(message="terminate called")])
    assert diagnose([lost, broken]) == diagnose([broken])


LAYOUT = (
    "saved_model.pb must lie directly in the directory of the version. Export a .keras, .h5 or .onnx file as "
    "a SavedModel first."
)
NO_SUCH_FILE = "cp: cannot stat '/models/a/b/3/saved_model.pb': No such file or directory"


@pytest.mark.parametrize(
    ("body", "log", "sentence"),
    [
        (
            "volume",
            NO_SUCH_FILE,
            f"PersistentVolumeClaim models contains no model in a/b/3: {NO_SUCH_FILE}. Put the SavedModel "
            "there, readable by any user, or correct spec.model.source.persistentVolumeClaim and "
            f"spec.model.version. {LAYOUT}",
        ),
        (
            "smallest",
            "cp: cannot stat '/models/pizza/3': No such file or directory",
            "the model's files cannot be copied from image pizza-model:3: cp: cannot stat '/models/pizza/3': "
            f"No such file or directory. Put them under /models/pizza/3/, readable by any user. {LAYOUT}",
        ),
        (
            "smallest",
            'failed to create containerd task: exec: "cp": executable file not found in $PATH',
            "image pizza-model:3 has no cp command, which copies the model. Use a base image that has one, "
            "not "
            "scratch.",
        ),
    ],
)
def test_a_missing_model_is_reported_with_the_place_where_it_belongs(body, log, sentence):
    rendered = all_children(SPECS[body])["Deployment", "pizza-serving-v3"]["spec"]["template"]["spec"]
    broken = {**pod(inits=[crashed(message=log, name="model-files")]), "spec": rendered}
    problem = diagnose([broken])
    assert problem.reason is Reason.MODEL_NOT_FOUND
    assert problem.message == f"Container model-files of pod pizza-serving-v2-abc: {sentence}"


def test_an_injected_init_container_that_fails_does_not_mean_that_the_model_is_missing():
    problem = diagnose([pod(inits=[crashed(message="no certificate", name="mesh-init")])])
    assert problem.reason is Reason.CONTAINER_CRASHED


def test_a_container_that_cannot_start_has_the_same_message_at_every_retry():
    message = 'failed to create containerd task: exec: "server": executable file not found in $PATH'
    again = crashed("StartError", message, code=128)
    trying = {**again, "state": {"waiting": {"reason": "RunContainerError", "message": message}}}
    assert diagnose([pod(containers=[again])]) == diagnose([pod(containers=[trying])])


def test_a_failed_pull_has_the_same_message_while_the_kubelet_backs_off():
    detail = 'failed to pull and unpack image "x": not found'
    first = diagnose([pod(containers=[waiting("ErrImagePull", detail)])])
    then = diagnose(
        [pod(containers=[waiting("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {detail}')])]
    )
    assert first == then


@pytest.mark.parametrize(
    "word", ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"]
)
def test_every_reason_why_an_image_cannot_be_pulled_is_reported(word):
    problem = diagnose([pod(containers=[waiting(word, "rpc error: it is so")])])
    assert problem.reason is Reason.IMAGE_PULL_FAILED
    assert "cannot pull image tf:1: rpc error: it is so. Check the image name" in problem.message


@pytest.mark.parametrize(
    ("body", "component", "container", "secrets"),
    [
        ("smallest", "serving", "model-files", "spec.model.source.image.pullSecrets"),
        ("volume", "serving", "model-files", "spec.serving.imagePullSecrets"),
        ("smallest", "serving", "model-server", "spec.serving.imagePullSecrets"),
        ("smallest", "gateway", "gateway", "spec.gateway.imagePullSecrets"),
        ("smallest", "verify", "verify", "spec.gateway.imagePullSecrets"),
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
    assert diagnose([failing]).message.endswith(f"and {secrets}.")


def test_a_crashing_container_has_the_same_message_while_it_restarts():
    again = crashed(message=LOAD_ERROR)
    running = {**again, "state": {"running": {}}, "started": False}
    assert diagnose([pod(containers=[again])]) == diagnose([pod(containers=[running])])


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


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "p" is forbidden: exceeded quota: small, requested: memory=2Gi', "QuotaExceeded"),
        ('pods "p" is forbidden: violates PodSecurity "restricted:latest"', "AdmissionRefused"),
    ],
)
def test_pods_that_cannot_be_created_are_reported_from_the_deployments_condition(message, reason):
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    deployment = {"metadata": {"name": "pizza-serving-v2"}, "status": {"conditions": [condition]}}
    problem = diagnose([], deployment)
    assert problem is not None
    assert problem.reason.value == reason
    assert "Deployment pizza-serving-v2" in problem.message


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


def refused_pods(job: str, uid: str) -> dict[str, Any]:
    message = 'Error creating: pods "p" is forbidden: exceeded quota: small, requested: pods=1'
    about = {"kind": "Job", "name": job, "uid": uid}
    return {"involvedObject": about, "reason": "FailedCreate", "message": message}


def test_a_job_that_cannot_create_its_pod_is_reported_until_it_has_one():
    job = {"metadata": {"name": "pizza-verify-v2-a", "uid": "now"}}
    events = [refused_pods("pizza-verify-v2-a", "now")]
    problem = diagnose_job(job, [], events)
    assert problem is not None
    assert problem.reason is Reason.QUOTA_EXCEEDED
    assert "Job pizza-verify-v2-a" in problem.message
    assert diagnose_job(job, [pod(ready=True)], events) is None


def test_a_refused_pod_of_an_earlier_job_is_not_a_problem_of_this_one():
    events = [refused_pods("pizza-verify-v2-a", "before")]
    job = {"metadata": {"name": "pizza-verify-v2-a", "uid": "now"}}
    assert diagnose_job(job, [], events) is None
    assert diagnose([pod(containers=[waiting("ContainerCreating")])], events=events) is None


def test_an_image_is_called_by_the_name_that_the_spec_has():
    told = pod(containers=[{**waiting("ErrImagePull"), "name": "c", "image": "docker.io/other:tag"}])
    told["spec"] = {"containers": [{"name": "c", "image": "pizza-model:1"}]}
    problem = diagnose([told])
    assert problem is not None
    assert "pizza-model:1" in problem.message
    assert "other" not in problem.message


def test_a_long_message_is_cut():
    problem = diagnose([pod(containers=[waiting("ErrImagePull", "x" * 5000)])])
    assert len(problem.message) < 600


def test_a_crash_has_the_same_message_although_its_log_has_timestamps():
    first = '{"time": "10:00", "level": "error", "message": "Worker failed to boot."}'
    then = '{"time": "10:09", "level": "error", "message": "Worker failed to boot."}'
    told = [diagnose([pod(containers=[crashed(message=message)])]) for message in (first, then)]
    assert told[0] == told[1]
    assert "Worker failed to boot" in told[0].message


def test_a_log_line_is_reported_without_its_time_and_with_all_of_its_words():
    lines = {
        "The model cannot be read": "The model cannot be read",
        "2026-01-01 10:00:00.123456: E external/tf/loader.cc:7] no graph, error 5": "no graph, error 5",
        "2026-01-01T10:00:00Z Zones cannot be read": "Zones cannot be read",
        "10:00:00 cannot begin": "cannot begin",
        "7 of 9 files cannot be read": "7 of 9 files cannot be read",
    }
    for line, told in lines.items():
        assert f"exit code 1: {told}. Look" in diagnose([pod(containers=[crashed(message=line)])]).message


def test_the_examples_of_how_words_are_taken_out_are_true():
    assert doctest.testmod(log_excerpts).failed == 0
