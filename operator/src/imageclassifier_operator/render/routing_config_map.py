"""The ConfigMap that says which version answers: the gateways' routing file, and the operator's own state
beside it.
"""

from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.render.gateway import ROUTING_FILE
from imageclassifier_operator.render.manifest import Manifest, metadata

STATE_FILE = "state.json"


def routing_config_map(ic: ImageClassifier, routing_json: str, state_json: str) -> Manifest:
    """Both files in one object, so that they change together or not at all."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(ic, names.routing_name(ic.name)),
        "data": {ROUTING_FILE: routing_json, STATE_FILE: state_json},
    }
