"""Why pods do not work: looking through all pods of a Deployment or Job, its conditions and Warning events.

Of everything that is wrong the worst is told, always of the same pod, so that the sentence stays the same
while nothing changes: pods alternate between `ErrImagePull` and `ImagePullBackOff`, or between crashing and
running. What a node does to its pods (it evicts them, reboots, goes away) is never fatal: it is no fault of
the version's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imageclassifier_operator.excerpts import load_error, short, telling
from imageclassifier_operator.observed import Problem
from imageclassifier_operator.reasons import Reason

Json = Mapping[str, Any]

_SEVERITY = (
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_LOAD_FAILED,
    Reason.OUT_OF_MEMORY,
    Reason.CONTAINER_CRASHED,
    Reason.CONTAINER_CONFIG_INVALID,
    Reason.IMAGE_PULL_FAILED,
    Reason.QUOTA_EXCEEDED,
    Reason.ADMISSION_REFUSED,
    Reason.UNSCHEDULABLE,
    Reason.VOLUME_FAILED,
    Reason.NOT_ANSWERING,
    Reason.POD_EVICTED,
)
_FATAL = (Reason.MODEL_NOT_FOUND, Reason.MODEL_LOAD_FAILED, Reason.OUT_OF_MEMORY, Reason.CONTAINER_CRASHED)
# The kubelet's words, of pkg/kubelet/images/types.go and k8s.io/cri-api/pkg/errors.
_PULL_REASONS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
# A container that was gone when the kubelet looked for it, and one that containerd lost when the node went
# down (internal/cri/server/restart.go; its exit code is then 255).
_LOST_REASONS = ("ContainerStatusUnknown", "Unknown")
_CONFIG_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def diagnose(pods: Iterable[Json], owner: Json | None = None, events: Iterable[Json] = ()) -> Problem | None:
    """The worst problem of `pods`, of the Deployment that `owner` is, and of the Warning `events` about them.

    None when nothing is wrong, or nothing can be seen yet. Pods that are ready or on their way out have no
    problems.
    """
    waiting = [pod for pod in pods if not is_ready(pod) and not _is_leaving(pod)]
    found = [problem for pod in waiting for problem in _of_pod(pod)]
    found += _of_owner(owner)
    # What was mounted late is mounted all the same, and its Event stays for an hour.
    mounting = {pod["metadata"]["name"] for pod in waiting if not _has_its_volumes(pod)}
    found += _of_events(events, mounting)
    return min(found, key=_rank, default=None)


def _rank(problem: Problem) -> tuple[bool, int, str]:
    return not problem.fatal, _SEVERITY.index(problem.reason), problem.message


def diagnose_job(job: Json, pods: Iterable[Json], events: Iterable[Json]) -> Problem | None:
    """What keeps a Job from running: a problem of its `pods`, or why it cannot make any."""
    if _is_leaving(job):
        return None
    if pods := tuple(pods):
        return diagnose(pods, events=events)
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    for event in events:
        about = event.get("involvedObject") or {}
        if about.get("kind") == "Job" and about.get("uid") == uid and event.get("reason") == "FailedCreate":
            return _refused(f"Job {name}", event.get("message"))
    return None


def is_ready(pod: Json) -> bool:
    """Whether the pod takes requests: ready and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not _is_leaving(pod)


def _is_leaving(pod: Json) -> bool:
    return pod["metadata"].get("deletionTimestamp") is not None


def _has_its_volumes(pod: Json) -> bool:
    """Whether the pod is past mounting: its sandbox is there, or a container has been started."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states = [
        state for container in containers for state in (container.get("state"), container.get("lastState"))
    ]
    return any(state and ("running" in state or "terminated" in state) for state in states) or any(
        condition["type"] == "PodReadyToStartContainers" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )


def _of_pod(pod: Json) -> Iterator[Problem]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    spec = pod.get("spec") or {}
    # The image as the spec has it: the runtime tells any of the names that it knows for the same layers.
    images = {
        container["name"]: {"image": container["image"]}
        for kind in ("initContainers", "containers")
        for container in spec.get(kind) or ()
    }
    if status.get("reason"):
        yield _ended_by_node(name, status["reason"], status.get("message"))
        return  # how its containers ended then is the node's doing too
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _unscheduled(name, condition.get("message") or "")
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            named = {**container, **images.get(container["name"], {})}
            ended = _end_of(container, is_restarted=spec.get("restartPolicy") != "Never")
            problem = _of_container(name, named, ended, init=kind == "initContainerStatuses")
            if problem is not None:
                yield problem


def _ended_by_node(pod: str, reason: str, message: str | None) -> Problem:
    """The kubelet's reasons: Evicted, Preempting, Terminated (the node shuts down), NodeLost, OutOfcpu..."""
    return _problem(
        Reason.POD_EVICTED,
        f"pod {pod} was ended by its node ({reason}): {short(message)}; another takes its place: if that "
        "goes on, request in resources what the pod uses, or give its nodes more room",
    )


def _end_of(container: Json, *, is_restarted: bool) -> Json | None:
    """How the container ended last. One that is restarted is judged only then: the kubelet tells the end of a
    container that it has killed a moment before it tells that it has evicted the pod.
    """
    ended: Json | None = (container.get("lastState") or {}).get("terminated")
    if ended is None and not is_restarted:
        ended = (container.get("state") or {}).get("terminated")
    return ended


def _unscheduled(pod: str, message: str) -> Problem:
    # What the scheduler says of preemption, after it has said what is wrong, helps nobody.
    detail = re.sub(r"[., ]*(?:no new claims to deallocate, )?preemption: .*$", "", message)
    detail = short(detail.replace("not found. not found", "not found"))
    if re.search("(?i)persistentvolumeclaim", detail):
        return _problem(
            Reason.VOLUME_FAILED,
            f"pod {pod} waits for its volume: {detail}; create the PersistentVolumeClaim, "
            "or see with kubectl describe why it is not bound",
        )
    return _problem(
        Reason.UNSCHEDULABLE,
        f"pod {pod} cannot be scheduled: {detail}; "
        "free or add nodes, or change resources, nodeSelector, tolerations or affinity",
    )


def _of_container(pod: str, container: Json, ended: Json | None, *, init: bool) -> Problem | None:
    where = f"pod {pod}, container {container['name']}"
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in _PULL_REASONS:
        detail = re.sub(r"^.*?ErrImagePull: ", "", waiting.get("message") or "")
        said = "" if detail.startswith("Back-off") or not detail else f": {short(detail)}"
        return _problem(
            Reason.IMAGE_PULL_FAILED,
            f"{where}: cannot pull image {container['image']}{said}; "
            "check the name, that it was pushed or loaded, and imagePullSecrets",
        )
    if reason in _CONFIG_REASONS:
        return _problem(
            Reason.CONTAINER_CONFIG_INVALID, f"{where}: cannot be made: {short(waiting.get('message'))}"
        )
    if ended is not None and not (init and container.get("ready")) and ended.get("exitCode") != 0:
        return _of_end(where, container, ended, init=init)
    if container.get("started") and "running" in state and not container.get("ready") and not init:
        return _problem(
            Reason.NOT_ANSWERING, f"{where}: runs but its readiness probe does not pass; look at its logs"
        )
    return None


def _of_end(where: str, container: Json, ended: Json, *, init: bool) -> Problem:
    message, reason = ended.get("message") or "", ended.get("reason")
    if reason in _LOST_REASONS:
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{where}: was lost when its node was interrupted ({reason}); it is started again: if that goes "
            "on, see with kubectl describe node what is wrong with the node",
        )
    if reason == "OOMKilled":
        part = "serving" if container["name"].startswith("model-") else "gateway"
        return _problem(
            Reason.OUT_OF_MEMORY, f"{where}: ran out of memory; raise spec.{part}.resources.limits.memory"
        )
    if init:
        return _problem(
            Reason.MODEL_NOT_FOUND,
            f"{where}: the model's files cannot be copied from {container['image']}: {telling(message)}; "
            "they belong under /models/<name>/<version>/",
        )
    if "did not become available" in message or "Failed to start server" in message:
        return _problem(
            Reason.MODEL_LOAD_FAILED,
            f"{where}: TensorFlow Serving cannot load the model: {load_error(message)}; "
            "export it again and give it a new version number",
        )
    said = f": {telling(message)}" if message.strip() else ""
    return _problem(
        Reason.CONTAINER_CRASHED,
        f"{where}: ended with exit code {ended.get('exitCode')}{said}; look at kubectl logs --previous",
    )


def _of_owner(owner: Json | None) -> Iterator[Problem]:
    """What a Deployment says of pods that could not even be created."""
    for condition in ((owner or {}).get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            assert owner is not None
            yield _refused(f"Deployment {owner['metadata']['name']}", condition.get("message"))


def _of_events(events: Iterable[Json], pods: set[str]) -> Iterator[Problem]:
    for event in events:
        about = event.get("involvedObject") or {}
        mounting = event.get("reason") in ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
        if mounting and about.get("kind") == "Pod" and about.get("name") in pods:
            yield _problem(
                Reason.VOLUME_FAILED,
                f"pod {about['name']}: a volume cannot be mounted: {short(event.get('message'))}",
            )


def _refused(who: str, message: str | None) -> Problem:
    detail = short(re.sub(r'^.*?is forbidden: |^pods "[^"]*" ', "", message or ""))
    if "quota" in detail or "LimitRange" in detail or "limit range" in detail or "per Container" in detail:
        return _problem(
            Reason.QUOTA_EXCEEDED, f"{who}: pods are refused: {detail}; raise the quota or ask for less"
        )
    return _problem(
        Reason.ADMISSION_REFUSED,
        f"{who}: pods are refused: {detail}; change the spec, or ask whoever set the rule",
    )


def _problem(reason: Reason, message: str) -> Problem:
    return Problem(reason, message, fatal=reason in _FATAL)
