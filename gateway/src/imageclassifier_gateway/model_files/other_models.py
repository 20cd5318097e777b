"""Files of models and archives that are no SavedModel, by the ends of their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .listing import shown_path

_KERAS = 'Load it with keras.models.load_model, and export it with model.export("{version}").'
_CONVERT = "Convert it to a SavedModel first."
#: The end of a file's name -> what the file is, and what to do. The first match counts.
_OTHER_MODELS = (
    (".weights.h5", "has only the weights of a Keras model", "Build the model, load them, and export it."),
    (".keras", "is a Keras model", _KERAS),
    (".h5", "is a Keras model", _KERAS),
    (".hdf5", "is a Keras model", _KERAS),
    (".onnx", "is an ONNX model", "Convert it to a SavedModel first, for example with onnx2tf."),
    (
        ".tflite",
        "is a TensorFlow Lite model",
        "Export the model from which it was converted as a SavedModel.",
    ),
    (".pt", "is a PyTorch model", "Convert it to ONNX, and that to a SavedModel, for example with onnx2tf."),
    (".pth", "is a PyTorch model", "Convert it to ONNX, and that to a SavedModel, for example with onnx2tf."),
    (".safetensors", "has only weights", _CONVERT),
    (".ckpt", "is a checkpoint", "Load it into its model, and export that as a SavedModel."),
    (".tar", "is an archive", "Unpack it."),
    (".tar.gz", "is an archive", "Unpack it."),
    (".tgz", "is an archive", "Unpack it."),
    (".zip", "is an archive", "Unpack it."),
)


def other_model(names: Sequence[str], version: int) -> str | None:
    """What one of these files is, and what to do; None if none is known.

    >>> other_model(["README", "flowers.tar.gz"], 3)
    'flowers.tar.gz is an archive, which is not served. Unpack it.'
    """
    for end, meaning, advice in _OTHER_MODELS:
        if name := next((name for name in sorted(names) if name.lower().endswith(end)), None):
            todo = advice.format(version=version)
            return f"{shown_path(Path(name))} {meaning}, which is not served. {todo}"
    return None
