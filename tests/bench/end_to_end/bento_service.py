"""The pizza model behind BentoML, as its documentation shows an image classifier.

KERAS_MODEL=model.keras bentoml serve bento_service:Pizza --port 3000
"""

from __future__ import annotations

import os
from typing import Any

import bentoml
import keras
import numpy as np
from PIL import Image

CLASSES = ("not_pizza", "pizza")


@bentoml.service(traffic={"timeout": 120})
class Pizza:
    """Decodes and predicts in one process."""

    def __init__(self) -> None:
        self.model = keras.models.load_model(os.environ["KERAS_MODEL"])
        self.size = self.model.input_shape[1:3]

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]
    def predict(self, image: Image.Image, /) -> dict[str, Any]:
        resized = image.convert("RGB").resize(self.size[::-1], Image.Resampling.NEAREST)
        pixels = np.asarray(resized, dtype=np.float32)[np.newaxis] / 127.5 - 1.0
        probabilities = self.model.predict(pixels, verbose=0)[0]
        best = int(probabilities.argmax())
        return {"label": CLASSES[best], "probability": float(probabilities[best])}
