"""The children that an ImageClassifier should have, as complete manifests for server-side apply. Pure: no
I/O.
"""

from imageclassifier_operator.desired.gateway import (
    ROUTING_FILE,
    gateway_deployment,
    gateway_disruption_budget,
    gateway_ingress,
    gateway_service,
)
from imageclassifier_operator.desired.manifest import Manifest, Settings
from imageclassifier_operator.desired.network import network_policies
from imageclassifier_operator.desired.routing import STATE_FILE, routing_config_map
from imageclassifier_operator.desired.scaling import autoscaler
from imageclassifier_operator.desired.serving import serving_children
from imageclassifier_operator.desired.verify import picture_file, verify_job
from imageclassifier_operator.spec import ImageClassifier

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
