"""TensorFlow Lite (LiteRT): for phones and small computers.

Both models take the same uint8 pixels and return the same float32 probabilities as the SavedModel, for one
image at a time. In the int8 model, weights and activations have 8 bits. Their ranges are measured on training
images.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import PIXELS_TENSOR, PROBABILITIES_TENSOR, SERVING_SIGNATURE

from .candidate import Classify, Format, Source


def _float(source: Source) -> bytes:
    return bytes(_converter(source).convert())


def _int8(source: Source) -> bytes:
    converter = _converter(source)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def examples() -> Iterator[dict[str, NDArray[np.uint8]]]:
        for pixels in source.calibration():
            yield {PIXELS_TENSOR: pixels[None]}

    converter.representative_dataset = lambda: ((SERVING_SIGNATURE, each) for each in examples())
    return bytes(converter.convert())


def _converter(source: Source) -> Any:
    return tf.lite.TFLiteConverter.from_saved_model(
        str(source.saved_model), signature_keys=[SERVING_SIGNATURE]
    )


def _load(model: bytes) -> Classify:
    with warnings.catch_warnings():
        # The class moves to the package ai-edge-litert. This one comes with the TensorFlow that converted.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=model, num_threads=1)
    run = interpreter.get_signature_runner(SERVING_SIGNATURE)

    def classify(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        row = run(**{PIXELS_TENSOR: pixels[None]})[PROBABILITIES_TENSOR][0]
        return np.asarray(row, dtype=np.float64)

    return classify


TFLITE = Format("tflite", "model.tflite", _float, _load, "float32")
TFLITE_INT8 = Format(
    "tflite-int8",
    "model-int8.tflite",
    _int8,
    _load,
    "8-bit weights and activations, calibrated on training images; probabilities in steps of 1/256",
)
