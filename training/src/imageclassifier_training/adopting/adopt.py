"""Adopts a model from elsewhere: finds out how it is called, and publishes it as a version like an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import binomtest

from imageclassifier_gateway.contract import (
    FLOAT_DTYPES,
    Contract,
    ContractError,
    ModelInput,
    ModelOutput,
    completed,
    parse_contract,
)

from ..errors import ModelError, TrainingError
from ..exporting import golden
from ..exporting.export import Check, Exported, Place, publish
from ..files import shown
from ..judging.metrics import log_losses, predicted_classes
from ..networks.learned import now
from ..words import counted
from . import calling, deciding, pictures
from .class_names import find_classes
from .deciding import Trial
from .options import Adoption, in_options
from .original import Original
from .pictures import Files
from .scaling import CANDIDATES, Decided, Scaling
from .structure import Structure, read_structure

WORSE_THAN_GUESSING = 0.01
"""The p-value below which a model counts as worse than guessing."""


@dataclass(frozen=True)
class Adopted:
    """What was found out about a model. `findings` are sentences for the user.

    `called` is the contract that describes the original; `contract` is the one that the adopted model gets.
    """

    original: Original
    called: Contract
    contract: Contract
    columns: int
    pixels: NDArray[np.uint8]
    expected: NDArray[np.float64]
    findings: tuple[str, ...]
    warnings: tuple[str, ...]

    @cached_property
    def served(self) -> Callable[[Any], Any]:
        """The function that is served: see `calling.served_function`."""
        return calling.served_function(self.original, self.called, self.columns)


def examine(original: Original, wanted: Adoption, name: str) -> Adopted:
    """Find out how the original is called. Raises TrainingError for what cannot be known."""
    try:
        return _examine(original, wanted, name)
    except ContractError as error:
        raise ModelError(in_options(str(error))) from None


def write(adopted: Adopted, place: Place, tolerance: float) -> Exported:
    """Publish the adopted model, if it gives what the original gives. Raises the errors of `publish`."""
    contract = adopted.contract
    cases = golden.make(
        contract.input, lambda pixels: calling.probabilities(adopted.original, adopted.called, pixels)
    )
    check = Check(
        original=adopted.original.title,
        advice="If the difference does not matter, allow it with --tolerance.",
        tolerance=tolerance,
        pixels=adopted.pixels,
        probabilities=adopted.expected,
    )
    return publish(adopted.served, contract, cases, place, check=check)


def _examine(original: Original, wanted: Adoption, name: str) -> Adopted:
    files = wanted.images
    classes, why_classes = find_classes(original, wanted)
    document: dict[str, Any] = {
        "name": name,
        "classes": classes,
        "threshold": wanted.threshold,
        "input": wanted.input_fields(),
        "output": wanted.output_fields(),
    }
    if wanted.scaling is not None:
        document["input"] |= _with_scaling(document["input"], wanted.scaling)
    complete, notes = completed(document, original.signatures)
    contract = parse_contract(complete)
    findings = [_of_input(contract, wanted), *why_classes, *original.notes, *map(in_options, notes)]
    warnings: list[str] = []
    if files is None:
        pixels, labels = pictures.drawn(contract.input), np.empty(0, np.int64)
    else:
        pixels, read, problems = pictures.load(files, contract.input)
        labels = files.labels(contract.classes)[read]
        warnings += [f"Left out: {each}" for each in problems[:5]]
    structure = _structure(original, contract)
    labelled = labels >= 0
    scalings = _scalings(contract, wanted)
    why_scaling = ""
    if len(scalings) > 1 and not labelled.any():
        decided = _decide(original, contract, {}, labels, structure, files)
        _refuse_other_channels(decided, wanted)
        scalings, why_scaling = [decided.scaling], decided.why
    raw = {
        each: outputs
        for each in scalings
        for outputs in [calling.raw_outputs(original, _scaled(contract, complete, each), pixels)]
        if np.isfinite(outputs).all()
    }
    if not raw:
        raise _not_finite(original)
    activation, why_activation = wanted.activation, "as --activation says"
    if activation is None:
        activation, why_activation = deciding.decide_activation(
            np.concatenate(list(raw.values())), structure, len(contract.classes)
        )
    contract = replace(contract, output=replace(contract.output, activation=activation))
    chosen = scalings[0]
    if len(scalings) > 1:
        decided = _decide(original, contract, raw, labels, structure, files)
        _refuse_other_channels(decided, wanted)
        chosen, why_scaling = decided.scaling, decided.why
    if chosen not in raw:
        raise _not_finite(original)
    contract = _scaled(contract, complete, chosen)
    if why_scaling:
        findings.append(f"Pixels: {chosen.option.removeprefix('--')}, because {why_scaling}.")
    findings.append(f"Outputs: activation {activation}: {why_activation}.")
    expected, columns = contract.probabilities(raw[chosen]), raw[chosen].shape[1]
    warnings += _warnings(contract, expected, calling.raw_outputs(original, contract, pixels), raw[chosen])
    metrics: dict[str, Any] = {}
    if labelled.any():
        figures = _figures(expected[labelled], labels[labelled], contract.threshold)
        metrics, accuracy = {"adoption": figures}, 100 * figures["accuracy"]
        findings.append(
            f"It is right for {accuracy:.1f} % of {counted(int(labelled.sum()), 'labelled image')}."
        )
        _refuse_worse_than_guessing(figures["accuracy"], int(labelled.sum()), len(contract.classes))
    return Adopted(
        original,
        contract,
        _own(contract, original, columns, metrics),
        columns,
        pixels,
        expected,
        tuple(findings),
        tuple(warnings),
    )


def _scalings(contract: Contract, wanted: Adoption) -> list[Scaling]:
    """The scalings that are possible."""
    if wanted.scaling is not None:
        return [wanted.scaling]
    if contract.input.dtype not in FLOAT_DTYPES:
        return [CANDIDATES[0]]
    return [each for each in CANDIDATES if _applies(each, contract, wanted)]


def _applies(scaling: Scaling, contract: Contract, wanted: Adoption) -> bool:
    if contract.input.channels == "gray":
        return scaling.channels is None and not isinstance(scaling.scale, tuple)
    return scaling.channels is None or wanted.channels in (None, scaling.channels)


def _with_scaling(fields: Mapping[str, Any], scaling: Scaling) -> dict[str, Any]:
    if scaling.channels is not None and fields.get("channels") not in (None, scaling.channels):
        raise TrainingError(
            f"{scaling.option} means the channels {scaling.channels}, but --channels is "
            f"{fields['channels']}. Remove --channels."
        )
    return scaling.to_input()


def _refuse_other_channels(decided: Decided, wanted: Adoption) -> None:
    """Refuse what the library of the model says if --channels contradicts it."""
    channels = decided.scaling.channels
    if channels is not None and wanted.channels not in (None, channels):
        raise TrainingError(
            f"{decided.why}. This means the channels {channels}, but --channels is {wanted.channels}. Remove "
            "--channels, or set --preprocess."
        )


def _not_finite(original: Original) -> ModelError:
    return ModelError(
        f"{original.title} returns values that are not finite. Check the scaling of its pixels "
        "(--preprocess) and its weights."
    )


def _scaled(contract: Contract, complete: Mapping[str, Any], scaling: Scaling) -> Contract:
    document = {**complete["input"], **scaling.to_input()}
    return replace(contract, input=parse_contract({**complete, "input": document}).input)


def _structure(original: Original, contract: Contract) -> Structure:
    tensors, wanted = calling.tensors_of(contract), contract.input
    dtype = tf.string if wanted.dtype == "bytes" else tf.as_dtype(wanted.dtype)
    sizes = {
        "N": wanted.batch,
        "H": wanted.height,
        "W": wanted.width,
        "C": wanted.depth,
        "F": wanted.height * wanted.width * wanted.depth,
        "1": 1,
    }
    shape = [] if wanted.layout == "scalar" else [sizes[axis] for axis in wanted.layout]
    return read_structure(lambda values: original.graph(tensors, values), tf.TensorSpec(shape, dtype))


def _decide(
    original: Original,
    contract: Contract,
    raw: Mapping[Scaling, NDArray[np.float64]],
    labels: NDArray[np.int64],
    structure: Structure,
    files: Files | None,
) -> Decided:
    labelled = labels >= 0
    trials = []
    if files is not None and labelled.any():
        for scaling, outputs in raw.items():
            rows = contract.probabilities(outputs[labelled])
            predicted = predicted_classes(rows, contract.threshold)
            trials.append(Trial(scaling, predicted == labels[labelled]))
    return deciding.decide_scaling(
        trials, original.known_scaling, structure, shown(files.source) if files else ""
    )


def _of_input(contract: Contract, wanted: Adoption) -> str:
    """What the model takes, as read from it."""
    found = contract.input
    how = "as --size says" if wanted.size else "read from the model"
    batch = "" if found.batch is None else f", {found.batch} in each call"
    return (
        f"Input: '{found.tensor}' of the signature '{found.signature}', {found.dtype}, {found.channels}, "
        f"layout {found.layout}{batch}, {found.height} x {found.width} pixels ({how})."
    )


def _warnings(
    contract: Contract,
    expected: NDArray[np.float64],
    again: NDArray[np.float64],
    first: NDArray[np.float64],
) -> list[str]:
    found = []
    if float(np.abs(again - first).max()) > 1e-3:
        raise ModelError(
            "The model gives other outputs for the same pictures when it is called again. Export it for "
            "inference: dropout, augmentation and batch statistics must be off."
        )
    if contract.output.sums_to_one and float(np.abs(expected.sum(axis=1) - 1).max()) > 0.01:
        raise ModelError(
            f"The probabilities of a picture sum to {expected.sum(axis=1).max():.3f} and not to 1. If the "
            "model returns logits, set --activation to softmax; if its classes do not exclude each other, "
            "set it to sigmoid."
        )
    spread = float(np.ptp(expected, axis=0).max())
    if spread < 1e-3:
        found.append(
            f"The probabilities of {counted(len(expected), 'different picture')} differ by {spread:.2g} at "
            "most, so the model hardly depends on the picture. A wrong scale of the pixels is the usual "
            "cause: check --preprocess. A model without trained weights does the same."
        )
    return found


def _figures(rows: NDArray[np.float64], labels: NDArray[np.int64], threshold: float) -> dict[str, float]:
    return {
        "accuracy": float((predicted_classes(rows, threshold) == labels).mean()),
        "log_loss": float(log_losses(rows, labels).mean()),
        "pictures": len(rows),
    }


def _refuse_worse_than_guessing(accuracy: float, images: int, classes: int) -> None:
    """Refuse a model that is right for fewer images than guessing would be (exact binomial test, 1 %)."""
    right = round(accuracy * images)
    if binomtest(right, images, 1 / classes, alternative="less").pvalue < WORSE_THAN_GUESSING:
        raise ModelError(
            f"The model is right for {right} of {counted(images, 'labelled image')}, and guessing would be "
            f"for about {images / classes:.0f}. Check that --classes has the order of the outputs, and that "
            "each folder of --images is named after its class. To adopt the model as it is, leave out "
            "--images."
        )


def _own(contract: Contract, original: Original, columns: int, metrics: Mapping[str, Any]) -> Contract:
    """The contract of the adopted model: pixels in, probabilities out."""
    found = contract.input
    sums_to_one = contract.output.sums_to_one or columns == 1
    return replace(
        contract,
        input=ModelInput(found.height, found.width, found.resize, found.fit, found.decode),
        output=ModelOutput(activation="none" if sums_to_one else "sigmoid"),
        backbone=f"adopted from {original.title}",
        metrics=dict(metrics),
        created=now(),
    )
