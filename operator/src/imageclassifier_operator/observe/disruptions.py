"""Disruptions: what nodes and users do to pods, and a program in them does not cause. Pure.

A version is not to blame for an eviction, a drain, a preemption, a node that shuts down, reboots or stops
reporting, nor for a pod that somebody deletes. Pods of any of these are replaced or restarted by Kubernetes.
https://kubernetes.io/docs/concepts/workloads/pods/disruptions/
"""

import re
from collections.abc import Iterable

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.common_fields import condition, epoch_seconds

# The container was gone when the kubelet looked for it, or containerd lost it when the node went down
# (internal/cri/server/restart.go, with exit code 255).
_LOST_REASONS = ("ContainerStatusUnknown", "Unknown")
_OWN_LIMIT = re.compile(r"exceed(s|ed) (the|its) .*limit")
_SIGNALS = (137, 143)
"""The exit codes after SIGKILL and SIGTERM, which a program does not send to itself."""
_FORGIVEN_SIGNALS = 3
"""A node that shuts down sends signals, and so does the kubelet after a liveness probe. A container that was
restarted this often is not believed to have met a node each time.
"""


def disrupted_at(pods: Iterable[Json], *, deletions: bool = True) -> float | None:
    """When one of these pods or containers was last disrupted, in seconds since the epoch.

    `deletions`: whether a pod that is deleted for no known reason counts. A Job deletes its own pods.
    """
    moments = (moment for pod in pods for moment in (_taken_at(pod, deletions), *_restarts(pod)))
    return max((moment for moment in moments if moment is not None), default=None)


def is_ended_by_node(pod: Json) -> bool:
    """Whether the pod was ended for a reason outside of it."""
    if condition(pod, "DisruptionTarget", "True") is not None:
        return True
    return bool((pod.get("status") or {}).get("reason")) and not exceeds_its_limit(pod)


def exceeds_its_limit(pod: Json) -> bool:
    """Whether the kubelet evicted the pod because it wrote more to disk than its own limit.

    The kubelet gives such a pod no condition DisruptionTarget (pkg/kubelet/eviction, localStorageEviction).
    """
    status = pod.get("status") or {}
    if status.get("reason") != "Evicted" or condition(pod, "DisruptionTarget", "True") is not None:
        return False
    return _OWN_LIMIT.search(status.get("message") or "") is not None


def is_on_silent_node(pod: Json) -> bool:
    """Whether the pod's node has stopped reporting.

    Kubernetes then makes the pod's condition Ready False, and leaves what the kubelet wrote last: that all
    containers are ready.
    """
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    unready = condition(pod, "Ready", "True") is None
    return unready and bool(containers) and all(container.get("ready") for container in containers)


def is_lost(ended: Json) -> bool:
    """Whether a container ended together with its node."""
    return ended.get("reason") in _LOST_REASONS


def is_killed_from_outside(ended: Json, restarts: int) -> bool:
    """Whether a container was ended by a signal that is not known to be its own fault."""
    if ended.get("reason") == "OOMKilled" or restarts > _FORGIVEN_SIGNALS:
        return False
    return ended.get("exitCode") in _SIGNALS


def _taken_at(pod: Json, deletions: bool) -> float | None:
    """When the pod was ended, lost or deleted; None for a pod that stays."""
    if is_ended_by_node(pod) or is_on_silent_node(pod):
        taken = condition(pod, "DisruptionTarget", "True") or condition(pod, "Ready", "False")
        if taken is not None and taken.get("lastTransitionTime"):
            return epoch_seconds(taken["lastTransitionTime"])
    deleted = pod["metadata"].get("deletionTimestamp")
    if deleted is None or not deletions:
        return None
    return epoch_seconds(deleted) - float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)


def _restarts(pod: Json) -> Iterable[float]:
    """When containers of the pod that run again, or are about to, were ended from outside."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        ended = (container.get("lastState") or {}).get("terminated") or {}
        if not ended.get("finishedAt"):
            continue
        if is_lost(ended) or is_killed_from_outside(ended, container.get("restartCount", 0)):
            yield epoch_seconds(ended["finishedAt"])
