"""ImageClassifiers for tests of the CRD on a real API server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

CRD_FILE = Path(__file__).parents[3] / "crds/imageclassifiers.yaml"
API_VERSION = "imageclassifier.dev/v1alpha1"
IMAGE = {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}
LEGACY: dict[str, Any] = {
    "classes": [{"name": "not_pizza"}, {"name": "pizza"}],
    "input": {"height": 224, "width": 224},
}


Apply = Callable[..., dict[str, Any]]


def manifest(name: str = "pizza", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "ImageClassifier",
        "metadata": {"name": name},
        "spec": {"model": IMAGE, **spec},
    }
