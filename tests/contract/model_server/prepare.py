"""Make the models and configuration files of the contract tests: `python prepare.py DIRECTORY`.

A server under test is started with the flags that `arguments()` gives; to test one that runs elsewhere, the
directory has to lie at the same path there (see README.md).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

ROWS, COLUMNS, CLASSES = 4, 4, 2
PIXELS = ROWS * COLUMNS * 3


def _graph(*inputs: Any) -> Callable[[Callable[..., Any]], Any]:
    return lambda method: tf.function(method, input_signature=inputs)


class Everything(tf.Module):  # type: ignore[misc]
    """One signature for each feature of the contract."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        weights = np.linspace(-0.01, 0.01, PIXELS * CLASSES, dtype=np.float32).reshape(PIXELS, CLASSES)
        self.weights = tf.Variable(weights)
        self.slope = tf.Variable(slope)

    @_graph(tf.TensorSpec([None, ROWS, COLUMNS, 3], tf.uint8, name="pixels"))
    def probabilities(self, pixels: Any) -> Any:
        flat = tf.reshape(tf.cast(pixels, tf.float32), [tf.shape(pixels)[0], -1])
        return {"probabilities": tf.nn.softmax(tf.matmul(flat, self.weights))}

    @_graph(tf.TensorSpec([None], tf.int32, name="ignored"))
    def contract(self, ignored: Any) -> Any:
        text = json.dumps({"schema": 1, "name": "everything"})
        return {"json": tf.fill(tf.shape(ignored), text)}

    @_graph(
        tf.TensorSpec([None], tf.float32, name="a"),
        tf.TensorSpec([None], tf.float32, name="b"),
    )
    def arithmetic(self, a: Any, b: Any) -> Any:
        return {"sum": a + b, "difference": a - b}

    @_graph(tf.TensorSpec([None], tf.float32, name="x"))
    def half_plus(self, x: Any) -> Any:
        return {"y": 0.5 * x + self.slope}

    @_graph(tf.TensorSpec([None], tf.string, name="text"))
    def echo(self, text: Any) -> Any:
        return {"text": text, "data_bytes": text}

    @_graph(tf.TensorSpec([None], tf.float32, name="x"))
    def batch_rows(self, x: Any) -> Any:
        """How many rows the graph was run with: what a batch looks like from inside."""
        return {"rows": tf.fill(tf.shape(x), tf.shape(x)[0])}

    @_graph(tf.TensorSpec([None], tf.string, name="inputs"))
    def classify(self, inputs: Any) -> Any:
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        names = tf.tile(tf.constant([["low", "high"]]), [tf.shape(inputs)[0], 1])
        return {"classes": names, "scores": tf.concat([1 - x, x], axis=1)}

    @_graph(tf.TensorSpec([None], tf.string, name="inputs"))
    def regress(self, inputs: Any) -> Any:
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"]
        return {"outputs": 0.5 * x + self.slope}


def _save(directory: Path, slope: float) -> None:
    model = Everything(slope)
    names = ["contract", "arithmetic", "half_plus", "echo", "batch_rows", "classify", "regress"]
    signatures = {"serving_default": model.probabilities} | {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(directory), signatures=signatures)


def _write_warmup(directory: Path, signature: str) -> None:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "warm"
    request.model_spec.signature_name = signature
    directory.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(directory / "tf_serving_warmup_requests")) as writer:
        for rows in (1, 8):
            request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0] * rows))
            writer.write(log.SerializeToString())


def prepare(directory: Path) -> None:
    """Write everything below `directory`."""
    models = directory / "models"
    for version in (1, 2):
        _save(models / "everything" / str(version), slope=1.0 + version)
    _save(models / "warm" / "1", slope=2.0)
    _write_warmup(models / "warm" / "1" / "assets.extra", "half_plus")
    (models / "comes_and_goes").mkdir()
    broken = models / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"this is no SavedModel")
    _save(models / "cold" / "1", slope=2.0)
    _write_warmup(models / "cold" / "1" / "assets.extra", "no_such_signature")
    entries = "".join(
        f'  config {{ name: "{name}" base_path: "{models}/{name}" model_platform: "tensorflow"'
        f" model_version_policy {{ {policy} }} }}\n"
        for name, policy in [("everything", "all {}"), ("warm", "specific { versions: 1 }")]
    )
    (directory / "models.config").write_text(f"model_config_list {{\n{entries}}}\n")
    (directory / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }\n')
    (directory / "batching.config").write_text(
        "max_batch_size { value: 8 }\nbatch_timeout_micros { value: 600000000 }\n"
        "max_enqueued_batches { value: 1 }\nnum_batch_threads { value: 2 }\n"
        "allowed_batch_sizes: 4\nallowed_batch_sizes: 8\n"
    )


if __name__ == "__main__":
    prepare(Path(sys.argv[1]).absolute())
