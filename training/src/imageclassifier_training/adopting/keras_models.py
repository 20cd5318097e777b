"""Loads Keras models: files with the endings .keras, .h5 and .hdf5, and the models of keras.applications."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from imageclassifier_gateway.contract import SERVING_SIGNATURE, Signature, Tensor

from ..errors import ModelError, TrainingError, WeightsUnavailable, one_line
from ..files import shown
from ..networks.batch_norm_folding import as_functional, fold_batch_norm, foldable_count
from ..words import counted
from .original import Original, Tensors
from .scaling import MODES, Decided, mode_of

NO_WEIGHTS = "none"
_EXPORT = (
    "Export it with model.export('DIRECTORY') in the program that makes or trains it, and adopt that "
    "directory."
)


def load_file(file: Path) -> Original:
    """Load a model that Keras saved. Raises ModelError."""
    try:
        model = keras.models.load_model(file, compile=False)
    except Exception as error:
        # Keras raises many kinds, and those of the layers of others.
        raise ModelError(_why_not(file, error)) from error
    return of_keras(model, f"the Keras model {shown(file)}", file.stem)


def of_keras(
    model: Any,
    title: str,
    name: str,
    known: Decided | None = None,
    class_index: Callable[[], str] | None = None,
) -> Original:
    """A Keras model in memory. Raises ModelError if its inputs are not known."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        raise ModelError(f"The inputs of {title} are not known, because it is no functional model. {_EXPORT}")
    output_names = [*dict.fromkeys(getattr(model, "output_names", ()))]
    if len(output_names) != len(outputs):
        output_names = [f"output_{i}" for i in range(len(outputs))]
    signature = Signature(
        SERVING_SIGNATURE,
        tuple(_tensor(each.name, each) for each in inputs),
        tuple(_tensor(name, each) for name, each in zip(output_names, outputs, strict=True)),
    )
    served, notes = _folded(model)

    def call(network: Any, tensors: Tensors, values: Any) -> Any:
        flat = keras.tree.flatten(network(values, training=False))
        return flat[output_names.index(tensors.output)]

    return Original(
        title=title,
        name=name,
        signatures={SERVING_SIGNATURE: signature},
        call=lambda tensors, values: call(model, tensors, values),
        graph=lambda tensors, values: call(served, tensors, values),
        known_scaling=known,
        class_index=class_index,
        notes=notes,
    )


def application_named(text: str) -> str | None:
    """The function of keras.applications that `text` names, whatever its case and underscores."""
    wanted = _plain(text)
    return next((name for name in _applications() if _plain(name) == wanted), None)


def load_application(name: str, weights: str | None, classes: int | None) -> Original:
    """Build a model of keras.applications.

    `weights` is a file with the weights of the whole model, `none` for random ones, or None for those of
    ImageNet, which Keras downloads. `classes` is the number of classes, if they are given. Raises
    WeightsUnavailable.
    """
    function = _applications()[name]
    options: dict[str, Any] = {"weights": "imagenet" if weights is None else weights}
    if weights is not None:
        options["weights"] = None if weights == NO_WEIGHTS else weights
        options |= {} if classes is None else {"classes": classes}
    try:
        model = function(**options)
    except Exception as error:
        # Keras raises a bare Exception for an unreachable host, and ValueError or OSError for a wrong file.
        raise WeightsUnavailable(_no_weights(name, weights, error)) from error
    module = sys.modules[function.__module__]
    mode = mode_of(module.preprocess_input)
    known = None
    if mode is not None:
        known = Decided(MODES[mode], f"preprocess_input of {name} has the mode {mode} in keras.applications")
    index = _imagenet_index if weights is None else None
    return of_keras(model, f"{name} of keras.applications", name.lower(), known, index)


def _folded(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The model with its batch normalisation folded into convolutions, if that is possible."""
    try:
        count = foldable_count(model)
        if not count:
            return model, ()
        folded = fold_batch_norm(as_functional(model))
    except Exception as error:
        # Layers of others need not be able to make a copy of themselves. The model works without.
        reason = one_line(error, 150)
        return model, (f"Its batch normalisation is not folded into its convolutions: {reason}",)
    return folded, (f"Folded {counted(count, 'batch normalisation')} into convolutions.",)


def _tensor(name: str, tensor: Any) -> Tensor:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return Tensor(name, "bytes" if dtype == "string" else dtype, tuple(tensor.shape))


def _applications() -> Mapping[str, Any]:
    """The functions of keras.applications that make a model."""
    return {
        name: each for name, each in vars(keras.applications).items() if name[0].isupper() and callable(each)
    }


def _imagenet_index() -> str:
    from keras.src.applications import imagenet_utils

    try:
        file = keras.utils.get_file(
            "imagenet_class_index.json", imagenet_utils.CLASS_INDEX_PATH, cache_subdir="models"
        )
    except Exception as error:
        raise TrainingError(
            f"The names of the classes of ImageNet could not be downloaded ({error}). Pass them with "
            "--classes FILE."
        ) from error
    return Path(file).read_text("utf-8")


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _no_weights(name: str, weights: str | None, error: Exception) -> str:
    reason = one_line(error, 200)
    if weights is None:
        return (
            f"The ImageNet weights of {name} could not be downloaded ({reason}). Pass the weights file of "
            "keras.applications (with top) with --weights FILE, or --weights none for random weights."
        )
    return (
        f"{weights} does not hold the weights of {name} with top: {reason}. Pass the file that "
        "keras.applications downloads for include_top=True, or one that save_weights wrote for as many "
        "classes as --classes lists."
    )


def _why_not(file: Path, error: Exception) -> str:
    reason = one_line(error)
    if "No model config found" in reason or "model_config" in reason:
        return (
            f"{shown(file)} has the weights of a model without the model. If the model is one of "
            "keras.applications, adopt that one with --weights. Otherwise load the weights into the model, "
            "save it with model.save, and adopt that file."
        )
    if "Lambda" in reason or "unsafe" in reason:
        return f"{shown(file)} has a Lambda layer, whose code Keras does not load from a file. {_EXPORT}"
    return f"Keras cannot load {shown(file)}: {reason.rstrip('.')}. {_EXPORT}"
