"""The routing ConfigMap: the gateways' routing file, and the operator's state beside it."""

from imageclassifier_operator.api import names
from imageclassifier_operator.render.shared_parts import Manifest, Owner, metadata


def routing_config_map(ic: Owner, routing_json: str, state_json: str) -> Manifest:
    """Both files are in one object, so that they change together or not at all."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(ic, names.routing_name(ic.name)),
        "data": {names.ROUTING_FILE: routing_json, names.STATE_FILE: state_json},
    }
