"""The manifests of an ImageClassifier's children. Pure: no I/O. All but the routing have their own hash."""

from imageclassifier_operator.api import ImageClassifier, ModelVersion
from imageclassifier_operator.render import gateway, model_server, verification
from imageclassifier_operator.render.autoscaler import autoscalers
from imageclassifier_operator.render.network_policy import network_policies
from imageclassifier_operator.render.routing_config_map import routing_config_map
from imageclassifier_operator.render.shared_parts import Installation, Manifest, Owner, marked
from imageclassifier_operator.render.verification import picture_file

__all__ = [
    "Installation",
    "Manifest",
    "Owner",
    "gateway_deployment",
    "picture_file",
    "routing_config_map",
    "serving_children",
    "shared_children",
    "verify_job",
]


def shared_children(
    ic: ImageClassifier, installation: Installation, *, may_shrink: bool = True
) -> tuple[Manifest, ...]:
    """The children that belong to no version, without the gateway's Deployment and the routing ConfigMap.

    `may_shrink`: see `autoscalers`.
    """
    others = (
        gateway.gateway_service(ic),
        *gateway.gateway_disruption_budgets(ic),
        *network_policies(ic, installation),
        *autoscalers(ic, may_shrink=may_shrink),
        *gateway.gateway_ingress(ic),
    )
    return tuple(map(marked, others))


def gateway_deployment(ic: ImageClassifier, installation: Installation, replicas: int | None) -> Manifest:
    """The gateway's Deployment. `replicas`: None if somebody else scales the gateway."""
    return marked(gateway.gateway_deployment(ic, installation, replicas))


def serving_children(
    ic: ImageClassifier,
    served: ModelVersion,
    replicas: int,
    *,
    has_served: bool = False,
    pod_hash: str | None = None,
) -> tuple[Manifest, ...]:
    """The children of one version, of which the first is the Deployment."""
    children = model_server.serving_children(ic, served, replicas, has_served=has_served, pod_hash=pod_hash)
    return tuple(map(marked, children))


def verify_job(
    ic: ImageClassifier, served: ModelVersion, plan_json: str, attempt: str, installation: Installation
) -> tuple[Manifest, ...]:
    """The verification of one version: the ConfigMap with its plan, and the Job."""
    return tuple(map(marked, verification.verify_job(ic, served, plan_json, attempt, installation)))
