"""The pizza model behind KServe's Python model server, as its documentation shows a custom predictor.

KERAS_MODEL=model.keras python kserve_model.py --model_name pizza --http_port 8080
"""

from __future__ import annotations

import argparse
import base64
import io
from typing import Any

from keras_classifier import KerasClassifier
from kserve import Model, ModelServer, model_server
from PIL import Image


class Pizza(Model):  # type: ignore[misc]
    """Decodes and predicts in the process that answers HTTP."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.ready = self.load()

    def load(self) -> bool:
        self.classifier = KerasClassifier()
        return True

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        data = base64.b64decode(payload["instances"][0]["image"]["b64"])
        label, probability = self.classifier.classify(Image.open(io.BytesIO(data)))
        return {"predictions": [{"label": label, "probability": probability}]}


if __name__ == "__main__":
    arguments, _ = argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    ModelServer().start([Pizza(arguments.model_name)])
