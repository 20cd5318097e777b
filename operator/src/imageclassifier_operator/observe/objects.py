"""From the API's objects to the values that `decide` and `report` work on. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import GatewayIngress, ImageClassifier, names
from imageclassifier_operator.api.kinds import FIELD_MANAGER
from imageclassifier_operator.observe.pod_problems import answers, diagnose, is_ready
from imageclassifier_operator.observe.types import Problem, VersionObserved
from imageclassifier_operator.runtime.drift import needs_writing

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Objects:
    """One ImageClassifier's objects, as the cache has them."""

    deployments: Sequence[Json]
    pods: Sequence[Json]
    warnings: Sequence[Json]

    def serving_deployments(self) -> dict[int, Json]:
        """By version."""
        return {
            version: deployment
            for deployment in self.deployments
            if _component(deployment) == "serving" and (version := version_of(deployment)) is not None
        }

    def serving_pods(self, version: int) -> list[Json]:
        return [pod for pod in self.pods if _component(pod) == "serving" and version_of(pod) == version]

    def gateway_pods(self) -> list[Json]:
        """Those that are not on their way out."""
        return [
            pod
            for pod in self.pods
            if _component(pod) == "gateway" and pod["metadata"].get("deletionTimestamp") is None
        ]

    def pods_of(self, job: Json) -> list[Json]:
        """The pods of exactly this Job, not of an earlier one of the same name."""
        uid = job["metadata"]["uid"]
        return [pod for pod in self.pods if (owner := controller(pod)) is not None and owner["uid"] == uid]


def _component(body: Json) -> str | None:
    component: str | None = (body["metadata"].get("labels") or {}).get(names.LABEL_COMPONENT)
    return component


def version_of(body: Json) -> int | None:
    """The model version that an object belongs to, None for one that serves all of them."""
    label = (body["metadata"].get("labels") or {}).get(names.LABEL_MODEL_VERSION)
    return int(label) if label is not None and label.isdigit() else None


def versions(objects: Objects, wanted: Mapping[int, Json]) -> dict[int, VersionObserved]:
    """What is seen of each version with a Deployment. `wanted` are the rendered Deployments by version."""
    found: dict[int, VersionObserved] = {}
    for version, deployment in objects.serving_deployments().items():
        pods = objects.serving_pods(version)
        annotations = deployment["metadata"].get("annotations") or {}
        found[version] = VersionObserved(
            input_hash=annotations.get(names.ANNOTATION_INPUT_HASH, ""),
            complete=version in wanted and is_complete(deployment, wanted[version]),
            ready_pods=sum(is_ready(pod) for pod in pods),
            replicas=(deployment.get("status") or {}).get("replicas", 0),
            problem=_problem(pods, deployment, objects.warnings),
            earlier_answer=any(answers(pod) for pod in pods if not _is_of(pod, deployment)),
        )
    return found


def _problem(pods: Iterable[Json], deployment: Json, warnings: Iterable[Json]) -> Problem | None:
    """What is wrong with the pods that are made from what the Deployment is made from now; others, which
    outlive a change for a moment, say nothing of that.
    """
    seen = (deployment.get("status") or {}).get("observedGeneration", 0)
    is_told = seen >= deployment["metadata"].get("generation", 0)
    own = [pod for pod in pods if _is_of(pod, deployment)]
    return diagnose(own, deployment if is_told else None, warnings)


def _is_of(pod: Json, deployment: Json) -> bool:
    """Whether the pod is made from what the Deployment is made from now."""
    return _pod_hash(pod) == _pod_hash(deployment["spec"]["template"])


def _pod_hash(pod: Json) -> str | None:
    """Of a pod, or of a template of pods."""
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return annotations.get(names.ANNOTATION_POD_HASH)


def is_complete(live: Json, wanted: Json) -> bool:
    """Whether a Deployment is as rendered, its controller has seen that, and every pod of it is new and
    available.
    """
    status, generation = live.get("status") or {}, live["metadata"].get("generation", 0)
    replicas = live["spec"].get("replicas", 1)
    return (
        status.get("observedGeneration", 0) >= generation
        and replicas > 0
        and status.get("replicas")
        == status.get("updatedReplicas")
        == status.get("availableReplicas")
        == replicas
        and not needs_writing(wanted, live, FIELD_MANAGER)
    )


def gateway_problem(objects: Objects, deployment: Json | None) -> Problem | None:
    return diagnose(objects.gateway_pods(), deployment, objects.warnings)


def controller(body: Json) -> Json | None:
    """The owner that controls an object."""
    owners: Iterable[Json] = body["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def is_controlled_by(body: Json, uid: str) -> bool:
    """Whether an object is a child of the ImageClassifier with this uid."""
    owner = controller(body)
    return owner is not None and owner["uid"] == uid


def url(ic: ImageClassifier, service: Json | None) -> str:
    """Where users send pictures; empty while a load balancer has no address.

    Of a NodePort the address inside the cluster: which node address users reach is not to be known here.
    Nor which of the hosts that a wildcard of an Ingress stands for: it is empty then.
    """
    ingress = ic.gateway.ingress
    if ingress is not None:
        return _ingress_url(ingress)
    balancer = ((service or {}).get("status") or {}).get("loadBalancer") or {}
    for address in balancer.get("ingress") or ():
        host = address.get("hostname") or address.get("ip") or ""
        if host:
            return _with_port(f"[{host}]" if ":" in host else host, ic.gateway.service.port)
    if ic.gateway.service.type != "LoadBalancer":
        return _with_port(f"{names.gateway_name(ic.name)}.{ic.namespace}.svc", ic.gateway.service.port)
    return ""


def _ingress_url(ingress: GatewayIngress) -> str:
    if ingress.host.startswith("*."):
        return ""
    return f"{'http' if ingress.tls_secret_name is None else 'https'}://{ingress.host}/"


def _with_port(host: str, port: int) -> str:
    return f"http://{host}/" if port == 80 else f"http://{host}:{port}/"


def model_digest(pods: Iterable[Json]) -> str:
    """The digest of the image that the serving pods took their model from, as the node pulled it."""
    for pod in pods:
        for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
            if container.get("imageID"):
                return str(container["imageID"])
    return ""
