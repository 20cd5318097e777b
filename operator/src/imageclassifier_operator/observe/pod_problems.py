"""Problems of pods: from the pods of a Deployment or Job, its conditions, and Warning Events. Pure.

Of several problems the worst is reported, and always that of the same pod. So the message stays the same
while nothing changes, although pods alternate between `ErrImagePull` and `ImagePullBackOff`, or between
crashing and running. What a node does to its pods (eviction, reboot, failure) is never fatal, because it is
not the version's fault.
"""

import re
from collections.abc import Iterable, Iterator

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.common_fields import condition, epoch_seconds, part_of_spec
from imageclassifier_operator.observe.container_problems import container_problem
from imageclassifier_operator.observe.disruptions import (
    exceeds_its_limit,
    is_ended_by_node,
    is_on_silent_node,
)
from imageclassifier_operator.observe.log_excerpts import one_line
from imageclassifier_operator.observe.refused_pods import refused
from imageclassifier_operator.observe.types import Problem

_SEVERITY = (
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_DOWNLOAD_FAILED,
    Reason.MODEL_LOAD_FAILED,
    Reason.CONTRACT_INVALID,
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
    Reason.NODE_LOST,
)


def diagnose(pods: Iterable[Json], owner: Json | None = None, events: Iterable[Json] = ()) -> Problem | None:
    """The worst problem of `pods`, of their Deployment `owner`, and of the Warning `events` about them.

    None when nothing is wrong, or nothing is visible yet. Pods that are ready or terminating have no
    problems.
    """
    unready = [pod for pod in pods if not is_ready(pod) and not _is_terminating(pod)]
    found = [problem for pod in unready for problem in _pod_problems(pod)]
    found += _owner_problems(owner)
    # A Warning about a volume stays for an hour, also when the volume was mounted later.
    mounting = {pod["metadata"]["name"] for pod in unready if not _has_its_volumes(pod)}
    found += _volume_problems(events, mounting)
    return min(found, key=_rank, default=None)


def _rank(problem: Problem) -> tuple[bool, int, str]:
    return not problem.fatal, _SEVERITY.index(problem.reason), problem.message


def diagnose_job(job: Json, pods: Iterable[Json], events: Iterable[Json]) -> Problem | None:
    """What keeps a Job from running: a problem of its pods, or the reason why it cannot create any."""
    if _is_terminating(job):
        return None
    if pods := tuple(pods):
        return diagnose(pods, events=events)
    uid = job["metadata"]["uid"]
    for event in events:
        about = event.get("involvedObject") or {}
        if about.get("kind") == "Job" and about.get("uid") == uid and event.get("reason") == "FailedCreate":
            return refused({"kind": "Job", **job}, event.get("message"))
    return None


def is_unresponsive(pod: Json) -> bool:
    """Whether the pod was ready, and now runs but fails its readiness probe.

    A container that has not been ready since it started is still loading its model: in a new pod, or after
    a restart with its node.
    """
    if _is_terminating(pod) or is_ended_by_node(pod):
        return False
    unready = condition(pod, "Ready", "False")
    if unready is None or not unready.get("lastTransitionTime"):
        return False
    return any(
        _fails_its_probe(container, unready["lastTransitionTime"])
        for container in (pod.get("status") or {}).get("containerStatuses") or ()
    )


def _fails_its_probe(container: Json, unready_since: str) -> bool:
    started = ((container.get("state") or {}).get("running") or {}).get("startedAt")
    if container.get("ready") or not container.get("started") or started is None:
        return False
    return epoch_seconds(started) < epoch_seconds(unready_since)


def is_ready(pod: Json) -> bool:
    """Whether the pod takes requests: it is ready and not terminating."""
    return has_ready_condition(pod) and not _is_terminating(pod)


def can_answer(pod: Json) -> bool:
    """Whether the pod is ready, or a container of it runs and has passed its startup probe."""
    if is_ready(pod):
        return True
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return not _is_terminating(pod) and any(
        container.get("started") and "running" in (container.get("state") or {}) for container in containers
    )


def has_ready_condition(pod: Json) -> bool:
    """Whether the pod answers requests. A terminating pod may still do so."""
    return condition(pod, "Ready", "True") is not None


def _is_terminating(pod: Json) -> bool:
    return pod["metadata"].get("deletionTimestamp") is not None


def _has_its_volumes(pod: Json) -> bool:
    """Whether all volumes are mounted: the pod's sandbox exists, or a container was started."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    states = [
        state for container in containers for state in (container.get("state"), container.get("lastState"))
    ]
    return any(state and ("running" in state or "terminated" in state) for state in states) or (
        condition(pod, "PodReadyToStartContainers", "True") is not None
    )


def _pod_problems(pod: Json) -> Iterator[Problem]:
    status = pod.get("status") or {}
    if status.get("reason"):
        yield _ended(pod, status["reason"], status.get("message"))
        return  # its containers ended for the same cause
    if is_on_silent_node(pod):
        yield _on_silent_node(pod)
    if (unscheduled := condition(pod, "PodScheduled", "False")) is not None:
        yield _unscheduled(pod, unscheduled.get("message") or "")
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            problem = container_problem(pod, container, init=kind == "initContainerStatuses")
            if problem is not None:
                yield problem


def _ended(pod: Json, reason: str, message: str | None) -> Problem:
    """Reasons of the kubelet: Evicted, Preempting, Terminated (node shutdown), NodeLost, OutOfcpu."""
    name, detail = pod["metadata"]["name"], one_line(message)
    if exceeds_its_limit(pod):
        return Problem(
            Reason.POD_EVICTED,
            f"Pod {name} was evicted, because it wrote more to disk than it may: {detail}. Raise the limit "
            "of ephemeral-storage in its resources.",
            fatal=True,
        )
    return Problem(
        Reason.POD_EVICTED,
        f"Pod {name} was ended by its node ({reason}): {detail}. Kubernetes replaces the pod. If "
        "this continues, raise the pod's resource requests to its real usage, or add capacity to its nodes.",
    )


def _on_silent_node(pod: Json) -> Problem:
    name, node = pod["metadata"]["name"], (pod.get("spec") or {}).get("nodeName", "")
    return Problem(
        Reason.NODE_LOST,
        f"Pod {name} is on node {node}, which has stopped reporting to Kubernetes. Kubernetes replaces the "
        "pod when its toleration of that ends (usually after 5 minutes). Look at the node with kubectl "
        f"describe node {node}.",
    )


def _unscheduled(pod: Json, message: str) -> Problem:
    name = pod["metadata"]["name"]
    # The scheduler's remarks about preemption do not help a user.
    detail = re.sub(r"[., ]*(?:no new claims to deallocate, )?preemption: .*$", "", message)
    detail = one_line(detail.replace("not found. not found", "not found"))
    if re.search("(?i)persistentvolumeclaim", detail):
        return Problem(
            Reason.VOLUME_FAILED,
            f"Pod {name} waits for its volume: {detail}. Create the PersistentVolumeClaim, or find out with "
            "kubectl describe pvc why it is not bound.",
        )
    return Problem(
        Reason.UNSCHEDULABLE,
        f"Pod {name} cannot be scheduled: {detail}. Free or add nodes, or change the resources, or "
        f"nodeSelector, tolerations or affinity in spec.{part_of_spec(pod)}.template.spec.",
    )


def _owner_problems(owner: Json | None) -> Iterator[Problem]:
    """Why a Deployment cannot create its pods."""
    if owner is not None and (failure := condition(owner, "ReplicaFailure", "True")) is not None:
        yield refused(owner, failure.get("message"))


def _volume_problems(events: Iterable[Json], pods: set[str]) -> Iterator[Problem]:
    for event in events:
        about = event.get("involvedObject") or {}
        mounting = event.get("reason") in ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
        if mounting and about.get("kind") == "Pod" and about.get("name") in pods:
            detail = one_line(event.get("message"))
            yield Problem(
                Reason.VOLUME_FAILED,
                f"Pod {about['name']} cannot mount a volume: {detail}. {_volume_advice(detail)}",
            )


def _volume_advice(detail: str) -> str:
    if missing := re.search(r'\b(secret|configmap) "([^"]+)" not found', detail):
        kind = {"secret": "Secret", "configmap": "ConfigMap"}[missing[1]]
        return f"Create the {kind} {missing[2]}, or correct its name in the spec."
    return "Check that the volume exists and that the pod's node can reach it."
