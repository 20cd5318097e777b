"""The manifests of an ImageClassifier's children, for server-side apply. Pure: no I/O."""

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.render.autoscaler import autoscaler
from imageclassifier_operator.render.gateway import (
    gateway_deployment,
    gateway_disruption_budget,
    gateway_ingress,
    gateway_service,
)
from imageclassifier_operator.render.manifest import Installation, Manifest
from imageclassifier_operator.render.model_server import serving_children
from imageclassifier_operator.render.network_policy import network_policies
from imageclassifier_operator.render.routing_config_map import routing_config_map
from imageclassifier_operator.render.verification import picture_file, verify_job

__all__ = [
    "Installation",
    "Manifest",
    "gateway_deployment",
    "picture_file",
    "routing_config_map",
    "serving_children",
    "shared_children",
    "verify_job",
]


def shared_children(ic: ImageClassifier, installation: Installation) -> tuple[Manifest, ...]:
    """The children that belong to no version, without the routing ConfigMap."""
    return (
        gateway_deployment(ic, installation),
        gateway_service(ic),
        gateway_disruption_budget(ic),
        *network_policies(ic, installation),
        *autoscaler(ic),
        *gateway_ingress(ic),
    )
