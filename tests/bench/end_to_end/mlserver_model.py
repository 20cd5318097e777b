"""The pizza model behind MLServer, as its documentation shows a custom runtime.

KERAS_MODEL=model.keras mlserver start FOLDER      its model-settings.json names mlserver_model.Pizza
"""

import io
from typing import List  # noqa: UP035 - mlserver compares types by their typing names

import numpy as np
from keras_classifier import KerasClassifier
from mlserver import MLModel
from mlserver.codecs import decode_args
from PIL import Image


class Pizza(MLModel):  # type: ignore[misc]
    """Decodes and predicts in MLServer's inference worker."""

    async def load(self) -> bool:
        self.classifier = KerasClassifier()
        return True

    @decode_args  # type: ignore[untyped-decorator]
    async def predict(self, image: List[bytes]) -> np.ndarray:  # noqa: UP006
        _, probability = self.classifier.classify(Image.open(io.BytesIO(image[0])))
        return np.array([probability])
