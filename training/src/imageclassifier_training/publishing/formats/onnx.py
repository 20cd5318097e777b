"""ONNX: for ONNX Runtime and the many programs that read this format.

The model takes the same uint8 pixels and returns the same float32 probabilities as the SavedModel, for any
number of images. It needs the extra `onnx` of this package.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import PIXELS_TENSOR, PROBABILITIES_TENSOR, SERVING_SIGNATURE

from ...errors import TrainingError
from .candidate import Classify, Format, Source

#: Every version of ONNX Runtime since 1.13 (2022) reads it.
_OPSET = 17


def _convert(source: Source) -> bytes:
    try:
        import tf2onnx
    except ImportError:
        raise TrainingError(_NOT_INSTALLED) from None
    # Its signature needs its weights, so it must not be collected before the conversion.
    loaded = tf.saved_model.load(str(source.saved_model))
    signature = loaded.signatures[SERVING_SIGNATURE]
    wanted = source.input
    spec = tf.TensorSpec((None, wanted.height, wanted.width, 3), tf.uint8, name=PIXELS_TENSOR)

    def serve(pixels: object) -> object:
        return signature(**{PIXELS_TENSOR: pixels})

    model, _ = tf2onnx.convert.from_function(
        tf.function(serve, input_signature=[spec]), input_signature=[spec], opset=_OPSET
    )
    return bytes(model.SerializeToString())


def _load(model: bytes) -> Classify:
    try:
        import onnxruntime
    except ImportError:
        raise TrainingError(_NOT_INSTALLED) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def classify(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        (rows,) = session.run([PROBABILITIES_TENSOR], {PIXELS_TENSOR: pixels[None]})
        return np.asarray(rows[0], dtype=np.float64)

    return classify


_NOT_INSTALLED = (
    "The format onnx needs packages that are not installed. Run `pip install 'imageclassifier[onnx]'`, or "
    "remove onnx from --formats."
)
ONNX = Format("onnx", "model.onnx", _convert, _load, f"float32, opset {_OPSET}")
