"""A minimal spec, and the description of a model that does not describe itself."""

from typing import Any

from imageclassifier_operator import api
from imageclassifier_operator.api import ModelVersion

MODEL_SERVER = "tensorflow/serving:test"


def body(**changed: Any) -> dict[str, Any]:
    """A minimal ImageClassifier with `changed` in its spec."""
    return {
        "metadata": {"name": "pizza", "namespace": "food", "uid": "u-1", "generation": 4},
        "spec": {
            "model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}},
            **changed,
        },
    }


def candidate(**changed: Any) -> ModelVersion:
    return api.parse(body(**changed)).candidate(MODEL_SERVER)


LEGACY: dict[str, Any] = {
    "classes": [{"name": "not_pizza"}, {"name": "pizza", "message": "It's a pizza!"}],
    "input": {
        "height": 224,
        "width": 224,
        "dtype": "float32",
        "rescaling": {"scale": "0.0078", "offset": -1},
    },
    "output": {"activation": "sigmoid"},
}
