"""Completes the contract in a spec with the signatures of the model.

The spec says only what nobody can know from the model. If the model leaves a choice, the message lists the
candidates and names the field of the spec that chooses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .checks import ContractError, an_object
from .class_list import fitted_to_outputs, listed_classes
from .input_form import input_form
from .model_input import FLOAT_DTYPES, SERVING_SIGNATURE
from .signature import Signature, Signatures, Tensor, listed


def completed(document: Mapping[str, Any], signatures: Signatures) -> tuple[dict[str, Any], list[str]]:
    """The contract with what its input and output lack, and notes about what was assumed.

    Raises ContractError for a contradiction.
    """
    given = an_object(document.get("input", {}), "input")
    output = an_object(document.get("output", {}), "output")
    given_classes = document.get("classes", [])
    classes = listed_classes(given_classes)
    signature = _signature(signatures, given.get("signature"))
    tensor = _input(signature, given.get("tensor"), signatures)
    form = input_form(tensor, given)
    is_single = "N" not in form["layout"]
    notes: list[str] = []
    if tensor.shape is None and form["dtype"] != "bytes" and given.get("layout") is None:
        notes.append(
            f"The signature '{signature.name}' does not have the shape of its input {tensor}, so the layout "
            f"{form['layout']} with the channels {form['channels']} is assumed. If the model takes another "
            "one, set spec.input.layout and spec.input.channels."
        )
    if isinstance(given_classes, Mapping):
        outputs = _outputs_of_scores(signature, output.get("tensor"), len(classes), is_single=is_single)
        if outputs is not None:
            classes, note = fitted_to_outputs(classes, outputs, given_classes)
            notes.append(note)
    chosen = _output(signature, output.get("tensor"), len(classes), is_single=is_single)
    contract = {
        **document,
        "classes": classes,
        "input": {**form, "signature": signature.name},
        "output": {**output, "tensor": chosen.name},
    }
    return contract, notes


def _signature(signatures: Signatures, wanted: str | None) -> Signature:
    usable = {name: each for name, each in signatures.items() if each.inputs and each.outputs}
    if not usable:
        raise ContractError(
            "The model has no signature, so the model server cannot call it. Export it with "
            "tf.saved_model.save(model, directory, signatures=...) or with the export method of a Keras "
            "model."
        )
    if wanted is None and SERVING_SIGNATURE in usable:
        wanted = SERVING_SIGNATURE
    elif wanted is None and len(usable) == 1:
        wanted = next(iter(usable))
    names = listed(f"'{name}'" for name in sorted(usable))
    if wanted is None:
        raise ContractError(
            f"The model has no signature '{SERVING_SIGNATURE}', but the signatures {names}. Set "
            "spec.input.signature to the one that takes pictures."
        )
    if wanted not in usable:
        raise ContractError(
            f"The model has no signature '{wanted}'. Set spec.input.signature to one that it has: {names}."
        )
    return usable[wanted]


def _input(signature: Signature, wanted: str | None, signatures: Signatures) -> Tensor:
    inputs = signature.inputs
    others = [
        f"'{name}'"
        for name, each in sorted(signatures.items())
        if len(each.inputs) == 1 and name != signature.name and not each.takes_examples
    ]
    elsewhere = (
        f"Set spec.input.signature to another one ({', '.join(others)}), or export" if others else "Export"
    )
    if signature.takes_examples:
        raise ContractError(
            f"The signature '{signature.name}' takes tf.Example records and not pictures. {elsewhere} the "
            "model with a signature whose input is a batch of pictures."
        )
    if wanted is not None and wanted not in {each.name for each in inputs}:
        raise ContractError(
            f"The signature '{signature.name}' has no input '{wanted}'. Its inputs are {listed(inputs)}. "
            "Correct spec.input.tensor, or remove it if there is only one."
        )
    if len(inputs) > 1:
        raise ContractError(
            f"The signature '{signature.name}' has {len(inputs)} inputs: {listed(inputs)}. The gateway has "
            f"a value for one only, the picture. {elsewhere} the model with one input."
        )
    return inputs[0]


def _output(signature: Signature, wanted: str | None, classes: int, *, is_single: bool) -> Tensor:
    named = [each for each in signature.outputs if wanted in (None, each.name)]
    listing = listed(signature.outputs)
    if not named:
        raise ContractError(
            f"The signature '{signature.name}' has no output '{wanted}'. Set spec.output.tensor to one of "
            f"its outputs: {listing}."
        )
    # Outputs of another type beside the scores are indices or labels.
    numbers = [each for each in named if each.dtype in (*FLOAT_DTYPES, "invalid")]
    fitting = [each for each in numbers if _fits(each, classes, is_single=is_single)]
    # Of two classes, an output with a value for each is rather meant than a single value, as of a distance.
    exact = [each for each in fitting if _values(each, is_single=is_single) == classes]
    for only in (fitting, exact):
        if len(only) == 1:
            return only[0]
    if fitting:
        raise ContractError(
            f"Several outputs of the signature '{signature.name}' have a value for each class: "
            f"{listed(fitting)}. Set spec.output.tensor to the one with the probabilities."
        )
    if not numbers:
        raise ContractError(
            f"The signature '{signature.name}' returns no probabilities, only {listing}. Export the model "
            "with an output of floating-point numbers, one for each class."
        )
    values = {_values(each, is_single=is_single) for each in numbers}
    advice = "List the classes of the model in spec.classes, in the order of its outputs."
    if values == {classes + 1}:
        advice += " If its first output is a background class, list that one first."
    raise ContractError(
        f"spec.classes has {classes} classes, but no output of the signature '{signature.name}' has "
        f"{classes} values: {listing}. {advice}"
    )


def _outputs_of_scores(
    signature: Signature, wanted: str | None, classes: int, *, is_single: bool
) -> int | None:
    """The number of outputs of the only tensor with scores; None if it fits the classes or is unknown."""
    named = [each for each in signature.outputs if wanted in (None, each.name)]
    scores = [each for each in named if each.dtype in (*FLOAT_DTYPES, "invalid")]
    if any(_fits(each, classes, is_single=is_single) for each in scores):
        return None
    numbers = {_values(each, is_single=is_single) for each in scores}
    return numbers.pop() if len(numbers) == 1 else None


def _fits(tensor: Tensor, classes: int, *, is_single: bool) -> bool:
    values = _values(tensor, is_single=is_single)
    return values in (None, classes) or (values, classes) == (1, 2)


def _values(tensor: Tensor, *, is_single: bool) -> int | None:
    """The number of values for each picture; None if it is not known. `is_single`: there is no batch axis."""
    if tensor.shape is None:
        return None
    sizes = tensor.shape if is_single else tensor.shape[1:]
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None
