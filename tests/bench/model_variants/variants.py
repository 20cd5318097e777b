"""The variants of an exported model: runtimes, settings and precisions. Each loads in a process of its own.

Training's own conversions make the other formats, so the figures are those of the files that it publishes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelInput

Pixels = NDArray[np.uint8]
Run = Callable[[Pixels], NDArray[np.float64]]
"""Maps pixels `(batch, height, width, 3)` to probabilities `(batch, classes)`. Thread-safe."""


@dataclass(frozen=True)
class Variant:
    """A way to run the model."""

    name: str
    load: Callable[[Path, int], Run]
    #: The file below the folder of the variants, without the SavedModel's own folder.
    file: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    #: The flags of /proc/cpuinfo of which the processor needs at least one.
    needs: tuple[str, ...] = ()

    def why_not(self, cpu_flags: set[str]) -> str | None:
        """Why the variant is not measured on this processor; None if it is."""
        if self.needs and not cpu_flags & set(self.needs):
            return f"The processor has none of {', '.join(self.needs)}."
        return None


def make_files(saved_model: Path, folder: Path, pixels: Pixels) -> None:
    """Convert the SavedModel to the files of the variants that the folder lacks.

    `pixels` calibrate int8, `(pictures, height, width, 3)`.
    """
    from imageclassifier_training.publishing.formats.candidate import Source
    from imageclassifier_training.publishing.formats.onnx import ONNX
    from imageclassifier_training.publishing.formats.tflite import TFLITE, TFLITE_INT8

    source = Source(saved_model, ModelInput(*pixels.shape[1:3]), lambda: iter(pixels))
    for each in (TFLITE, ONNX, TFLITE_INT8):
        if not (folder / each.file).exists():
            part = folder / f"{each.file}.part"
            part.write_bytes(each.convert(source))
            part.rename(folder / each.file)


def _session(bfloat16: bool) -> Callable[[Path, int], Run]:
    def load(saved_model: Path, threads: int) -> Run:
        """A graph in a session, as TensorFlow Serving holds it."""
        from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

        from model_server.runtime import SavedModelSession

        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        if bfloat16:
            rewriters = config.graph_options.rewrite_options
            rewriters.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
        session = SavedModelSession(str(saved_model), ["serve"], config)
        signature = session.meta_graph_def.signature_def["serving_default"]
        pixels, probabilities = signature.inputs["pixels"].name, signature.outputs["probabilities"].name
        return lambda batch: session.run({pixels: batch}, [probabilities], None)[0]

    return load


def _tflite(file: Path, threads: int) -> Run:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(file), num_threads=threads)
    run, one_at_a_time = interpreter.get_signature_runner("serving_default"), threading.Lock()

    def classify(batch: Pixels) -> NDArray[np.float64]:
        with one_at_a_time:
            return np.array(run(pixels=batch)["probabilities"], dtype=np.float64)

    return classify


def _onnx(file: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session: Any = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def classify(batch: Pixels) -> NDArray[np.float64]:
        return np.asarray(session.run(["probabilities"], {"pixels": batch})[0], dtype=np.float64)

    return classify


VARIANTS = (
    Variant("SavedModel, float32", _session(False), environment={"TF_ENABLE_ONEDNN_OPTS": "0"}),
    Variant("SavedModel, float32, oneDNN", _session(False), environment={"TF_ENABLE_ONEDNN_OPTS": "1"}),
    Variant(
        "SavedModel, bfloat16, oneDNN",
        _session(True),
        environment={"TF_ENABLE_ONEDNN_OPTS": "1"},
        needs=("avx512_bf16", "amx_bf16"),
    ),
    Variant("TensorFlow Lite, float32", _tflite, "model.tflite"),
    Variant("TensorFlow Lite, int8", _tflite, "model-int8.tflite"),
    Variant("ONNX Runtime, float32", _onnx, "model.onnx"),
)
