"""The Keras model with decoding and resizing, for the servers that run it in their own process."""

from __future__ import annotations

import os

import keras
import numpy as np
from PIL import Image

CLASSES = ("not_pizza", "pizza")


class KerasClassifier:
    """The model in the file that the variable KERAS_MODEL names."""

    def __init__(self) -> None:
        self._model = keras.models.load_model(os.environ["KERAS_MODEL"])
        self._size = self._model.input_shape[1:3]

    def classify(self, image: Image.Image) -> tuple[str, float]:
        """The label of a picture and its probability, by `predict` as in Keras' documentation."""
        resized = image.convert("RGB").resize(self._size[::-1], Image.Resampling.NEAREST)
        pixels = np.asarray(resized, dtype=np.float32)[np.newaxis] / 127.5 - 1.0
        probabilities = self._model.predict(pixels, verbose=0)[0]
        best = int(probabilities.argmax())
        return CLASSES[best], float(probabilities[best])
