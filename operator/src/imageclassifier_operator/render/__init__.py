"""The manifests of an ImageClassifier's children, complete, for server-side apply. Pure: no I/O."""

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.render.autoscaler import autoscaler
from imageclassifier_operator.render.gateway import (
    ROUTING_FILE,
    gateway_deployment,
    gateway_disruption_budget,
    gateway_ingress,
    gateway_service,
)
from imageclassifier_operator.render.manifest import Manifest, Settings
from imageclassifier_operator.render.network_policy import network_policies
from imageclassifier_operator.render.routing_config_map import STATE_FILE, routing_config_map
from imageclassifier_operator.render.serving import serving_children
from imageclassifier_operator.render.verification import picture_file, verify_job

__all__ = [
    "ROUTING_FILE",
    "STATE_FILE",
    "Manifest",
    "Settings",
    "picture_file",
    "routing_config_map",
    "serving_children",
    "shared_children",
    "verify_job",
]


def shared_children(ic: ImageClassifier, settings: Settings) -> tuple[Manifest, ...]:
    """Every child that does not belong to one version, but for the routing ConfigMap."""
    return (
        gateway_deployment(ic, settings),
        gateway_service(ic),
        gateway_disruption_budget(ic),
        *network_policies(ic, settings),
        *autoscaler(ic),
        *gateway_ingress(ic),
    )
