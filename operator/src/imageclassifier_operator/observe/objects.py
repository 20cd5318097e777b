"""From API objects to snapshots of versions and gateways: readiness, completeness, ownership, URL. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imageclassifier_operator.api import ImageSource, ModelSource, VolumeSource, names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.common_fields import condition
from imageclassifier_operator.observe.container_problems import has_resolved_alias
from imageclassifier_operator.observe.disruptions import disrupted_at
from imageclassifier_operator.observe.model_deployments import input_hash, model_version
from imageclassifier_operator.observe.pod_problems import (
    diagnose,
    has_ready_condition,
    is_ready,
    is_unresponsive,
)
from imageclassifier_operator.observe.types import Problem, VersionSnapshot

_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_ALIAS_VERSION = re.compile("version ([0-9]{1,18})")


@dataclass(frozen=True)
class Objects:
    """The objects of one ImageClassifier in the cache."""

    deployments: Sequence[Json]
    pods: Sequence[Json]
    warnings: Sequence[Json]

    def serving_deployments(self) -> dict[int, Json]:
        """The Deployments of model servers, by version."""
        return {
            version: deployment
            for deployment in self.deployments
            if _component(deployment) == "serving" and (version := version_of(deployment)) is not None
        }

    def serving_pods(self, version: int) -> list[Json]:
        """The model server pods of one version."""
        return [pod for pod in self.pods if _component(pod) == "serving" and version_of(pod) == version]

    def gateway_pods(self) -> list[Json]:
        """The gateway pods that are not terminating."""
        return [
            pod
            for pod in self.pods
            if _component(pod) == "gateway" and pod["metadata"].get("deletionTimestamp") is None
        ]

    def pods_of(self, job: Json) -> list[Json]:
        """The pods of exactly this Job, not of an earlier one with the same name."""
        uid = job["metadata"]["uid"]
        return [pod for pod in self.pods if (owner := controller(pod)) is not None and owner["uid"] == uid]

    def waits(self, job: Json) -> bool:
        """Whether a Job has not ended, and none of its pods has run: they wait for a node or an image."""
        has_ended = any(condition(job, kind, "True") for kind in ("Complete", "Failed"))
        phases = {(pod.get("status") or {}).get("phase", "Pending") for pod in self.pods_of(job)}
        return not has_ended and phases <= {"Pending"}


def _component(body: Json) -> str | None:
    component: str | None = (body["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT)
    return component


def version_of(body: Json) -> int | None:
    """The model version of an object; None for an object that serves all versions."""
    label = (body["metadata"].get("labels") or {}).get(names.LABEL_MODEL_VERSION)
    return int(label) if label is not None and label.isdigit() else None


def versions(objects: Objects, wanted: Mapping[int, Json | None]) -> dict[int, VersionSnapshot]:
    """A snapshot of each version that has a Deployment.

    `wanted`: the rendered Deployment of each wanted version, or None if there is none to compare it with. All
    other versions are never complete.
    """
    found: dict[int, VersionSnapshot] = {}
    for version, deployment in objects.serving_deployments().items():
        served, pods = model_version(deployment), objects.serving_pods(version)
        current = [pod for pod in pods if _is_current(pod, deployment)]
        found[version] = VersionSnapshot(
            input_hash=input_hash(deployment),
            complete=version in wanted and is_complete(deployment, wanted[version]),
            ready_pods=sum(is_ready(pod) for pod in pods),
            replicas=(deployment.get("status") or {}).get("replicas", 0),
            problem=_problem(current, deployment, objects.warnings),
            outdated_pods_serve=any(
                has_ready_condition(pod) for pod in pods if not _is_current(pod, deployment)
            ),
            unresponsive=any(map(is_unresponsive, current)),
            disrupted_at=disrupted_at(current),
            model_digest="" if served is None else digest_of_files(served.source, current),
            alias_version=resolved_alias(current),
        )
    return found


def digest_of_files(source: ModelSource, pods: Iterable[Json]) -> str:
    """The digest of the image, archive or files of a version with these pods.

    It is empty for a volume, and while no pod shows it.
    """
    if isinstance(source, VolumeSource):
        return ""  # the image of its init container is not the model's
    if isinstance(source, ImageSource):
        return _digest_in(source.image) if source.mounted else _pulled_digest(pods)
    return f"sha256:{source.sha256}" if source.sha256 else _downloaded_digest(pods)


def _problem(pods: Iterable[Json], deployment: Json, warnings: Iterable[Json]) -> Problem | None:
    """The problem of `pods`, which are of the current template."""
    observed = (deployment.get("status") or {}).get("observedGeneration", 0)
    status_is_current = observed >= deployment["metadata"].get("generation", 0)
    return diagnose(pods, deployment if status_is_current else None, warnings)


def _is_current(pod: Json, deployment: Json) -> bool:
    """Whether the pod was made from the Deployment's current template."""
    return _pod_hash(pod) == _pod_hash(deployment["spec"]["template"])


def _pod_hash(pod: Json) -> str | None:
    """The hash in the annotations of a pod, or of a pod template."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return annotations.get(names.ANNOTATION_POD_HASH)


def is_rolled_out(deployment: Json) -> bool:
    """Whether a Deployment has all its pods, all are of its current template, and all are available."""
    status, generation = deployment.get("status") or {}, deployment["metadata"].get("generation", 0)
    counts = {status.get(name) or 0 for name in ("replicas", "updatedReplicas", "availableReplicas")}
    is_observed = status.get("observedGeneration", 0) >= generation
    return is_observed and counts == {deployment["spec"].get("replicas", 1)}


def is_complete(live: Json, wanted: Json | None) -> bool:
    """Whether a Deployment has pods, is rolled out and was written from its manifest, if there is one."""
    if not is_rolled_out(live) or live["spec"].get("replicas", 1) == 0:
        return False
    if wanted is None:
        return True
    replicas = wanted["spec"].get("replicas")
    return is_written_from(live, wanted) and replicas in (None, live["spec"].get("replicas", 1))


def is_written_from(live: Json, manifest: Json) -> bool:
    """Whether the last write of an object had this manifest. Admission may have changed it in that write.

    The number of replicas is not part of a manifest's hash.
    """
    found = _manifest_hash(live)
    return found is not None and found == _manifest_hash(manifest)


def _manifest_hash(body: Json) -> str | None:
    annotations: Json = body["metadata"].get("annotations") or {}
    return annotations.get(names.ANNOTATION_MANIFEST_HASH)


def gateway_problem(objects: Objects, deployment: Json | None) -> Problem | None:
    """The worst problem of the gateway pods."""
    return diagnose(objects.gateway_pods(), deployment, objects.warnings)


def controller(body: Json) -> Json | None:
    """The owner reference of the object's controller."""
    owners: Iterable[Json] = body["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def is_controlled_by(body: Json, uid: str) -> bool:
    """Whether an object is a child of the ImageClassifier with this uid."""
    owner = controller(body)
    return owner is not None and owner["uid"] == uid


def _digest_in(reference: str) -> str:
    """The digest in the name of an image; empty without one. Kubernetes reports none for image volumes.

    >>> _digest_in("registry.example.org/pizza@sha256:0f")
    'registry.example.org/pizza@sha256:0f'
    >>> _digest_in("pizza:1")
    ''
    """
    return reference if "@" in reference else ""


def _pulled_digest(pods: Iterable[Json]) -> str:
    """The digest of the image from which the pods copied their model, as the node pulled it."""
    for pod in pods:
        for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
            if container.get("imageID"):
                return str(container["imageID"])
    return ""


def _downloaded_digest(pods: Iterable[Json]) -> str:
    """The digest of the files that a pod has downloaded, as its init container has reported it."""
    for pod in pods:
        for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
            message = ((container.get("state") or {}).get("terminated") or {}).get("message") or ""
            if _DIGEST.fullmatch(message):
                return str(message)
    return ""


def resolved_alias(pods: Iterable[Json]) -> int | None:
    """The number to which an alias leads, as the init container of a pod has reported it when it ended."""
    for pod in pods:
        for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
            for state in (container.get("state"), container.get("lastState")):
                ended = (state or {}).get("terminated") or {}
                found = _ALIAS_VERSION.fullmatch(ended.get("message") or "")
                if found is not None and has_resolved_alias(container, ended):
                    return int(found[1])
    return None
