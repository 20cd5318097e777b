"""Finds out what kind of model a path or a name stands for, and loads it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError, TrainingError
from ..files import numbered, shown
from .original import Original

_KERAS = (".keras", ".h5", ".hdf5")
_PYTORCH = (".pt", ".pth", ".pkl", ".ckpt", ".safetensors")
_KINDS = (
    "a SavedModel directory, a .keras or .h5 file, or the name of a model in keras.applications such as "
    "MobileNetV2"
)


def load(model: str, weights: str | None, classes: int | None) -> Original:
    """Load a model. `weights` and `classes` are for models of keras.applications.

    Raises ModelError for a model that cannot be loaded, and TrainingError for an option that does not fit.
    """
    path = Path(model)
    if path.exists():
        if weights is not None:
            raise TrainingError(
                f"--weights is only for models of keras.applications, and {shown(path)} is a file or a "
                "directory. Remove --weights."
            )
        return _load_path(path)

    from . import keras_models

    name = keras_models.application_named(model)
    if name is None:
        raise ModelError(
            f"{shown(model)} is neither a file nor a directory here, nor a model of keras.applications. Name "
            f"{_KINDS}."
        )
    return keras_models.load_application(name, weights, classes)


def _load_path(path: Path) -> Original:
    suffix = path.suffix.casefold()
    if path.is_dir():
        from . import saved_models

        return saved_models.load(_version_directory(path))
    if suffix in _KERAS:
        from . import keras_models

        return keras_models.load_file(path)
    if suffix == ".onnx":
        raise ModelError(
            f"{shown(path)} is an ONNX model, which TensorFlow cannot run. Convert it with onnx2tf in an "
            "environment of its own (Python 3.12, `pip install 'onnx2tf[tensorflow]'`, then `onnx2tf -i "
            f"{shown(path)} -o converted -tb tf_converter -osd`), and adopt the directory `converted`."
        )
    if path.name in ("saved_model.pb", "saved_model.pbtxt"):
        raise ModelError(
            f"{shown(path)} is a part of a SavedModel. Name its directory, {shown(path.parent)}."
        )
    if suffix in _PYTORCH:
        raise ModelError(
            f"{shown(path)} looks like a file of PyTorch, which has weights and no graph. Export the model "
            "with torch.onnx.export(model.eval(), picture, 'model.onnx'), convert that file with onnx2tf, "
            "and adopt what it writes."
        )
    if suffix == ".tflite":
        raise ModelError(
            f"{shown(path)} is a model for TensorFlow Lite, which cannot be converted back. Adopt the model "
            "from which it was converted."
        )
    raise ModelError(f"{shown(path)} is not a model that can be adopted. Name {_KINDS}.")


def _version_directory(path: Path) -> Path:
    """The directory itself, its only subdirectory with a SavedModel, or the one with the highest number."""
    if _is_saved_model(path):
        return path
    versions = {number: each for number, each in numbered(path).items() if _is_saved_model(each)}
    if versions:
        return versions[max(versions)]
    below = [each for each in path.iterdir() if _is_saved_model(each)]
    if len(below) == 1:
        return below[0]
    if below:
        raise ModelError(f"{shown(path)} has several SavedModels. Name the directory of one of them.")
    raise ModelError(f"{shown(path)} has no saved_model.pb. Name {_KINDS}.")


def _is_saved_model(path: Path) -> bool:
    return any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))
