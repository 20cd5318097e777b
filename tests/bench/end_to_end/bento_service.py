"""The pizza model behind BentoML, as its documentation shows an image classifier.

KERAS_MODEL=model.keras bentoml serve bento_service:Pizza --port 3000
"""

from __future__ import annotations

from typing import Any

import bentoml
from keras_classifier import KerasClassifier
from PIL import Image


@bentoml.service(traffic={"timeout": 120})
class Pizza:
    """Decodes and predicts in one process."""

    def __init__(self) -> None:
        self.classifier = KerasClassifier()

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, image: Image.Image, /) -> dict[str, Any]:
        label, probability = self.classifier.classify(image)
        return {"label": label, "probability": probability}
