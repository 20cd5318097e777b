"""Why pods do not work: looking through all pods of a Deployment or Job, its conditions and Warning events.

Of everything that is wrong the worst is told, always of the same pod, so that the sentence stays the same
while nothing changes: pods alternate between `ErrImagePull` and `ImagePullBackOff`, or between crashing and
running. What a node does to its pods (it evicts them, reboots, goes away) is never fatal: it is no fault of
the version's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.container_problems import container_problem
from imageclassifier_operator.observe.log_excerpts import short
from imageclassifier_operator.observe.types import Problem

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
    return answers(pod) and not _is_leaving(pod)


def answers(pod: Json) -> bool:
    """Whether the pod answers who still asks it, be it on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


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
    if status.get("reason"):
        yield _ended_by_node(name, status["reason"], status.get("message"))
        return  # how its containers ended then is the node's doing too
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _unscheduled(name, condition.get("message") or "")
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            problem = container_problem(pod, container, init=kind == "initContainerStatuses")
            if problem is not None:
                yield problem


def _ended_by_node(pod: str, reason: str, message: str | None) -> Problem:
    """The kubelet's reasons: Evicted, Preempting, Terminated (the node shuts down), NodeLost, OutOfcpu..."""
    return Problem(
        Reason.POD_EVICTED,
        f"pod {pod} was ended by its node ({reason}): {short(message)}; another takes its place: if that "
        "goes on, request in resources what the pod uses, or give its nodes more room",
    )


def _unscheduled(pod: str, message: str) -> Problem:
    # What the scheduler says of preemption, after it has said what is wrong, helps nobody.
    detail = re.sub(r"[., ]*(?:no new claims to deallocate, )?preemption: .*$", "", message)
    detail = short(detail.replace("not found. not found", "not found"))
    if re.search("(?i)persistentvolumeclaim", detail):
        return Problem(
            Reason.VOLUME_FAILED,
            f"pod {pod} waits for its volume: {detail}; create the PersistentVolumeClaim, "
            "or see with kubectl describe why it is not bound",
        )
    return Problem(
        Reason.UNSCHEDULABLE,
        f"pod {pod} cannot be scheduled: {detail}; "
        "free or add nodes, or change resources, nodeSelector, tolerations or affinity",
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
            yield Problem(
                Reason.VOLUME_FAILED,
                f"pod {about['name']}: a volume cannot be mounted: {short(event.get('message'))}; see that "
                "what it names is there, and that the pod's node reaches it",
            )


def _refused(who: str, message: str | None) -> Problem:
    detail = short(re.sub(r'^.*?is forbidden: |^pods "[^"]*" ', "", message or ""))
    if "quota" in detail or "LimitRange" in detail or "limit range" in detail or "per Container" in detail:
        return Problem(
            Reason.QUOTA_EXCEEDED, f"{who}: pods are refused: {detail}; raise the quota or ask for less"
        )
    return Problem(
        Reason.ADMISSION_REFUSED,
        f"{who}: pods are refused: {detail}; change the spec, or ask whoever set the rule",
    )
