"""Parses a contract from JSON. Unknown keys that could change a prediction are errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import (
    ContractError,
    a_choice,
    a_list,
    a_number,
    a_side,
    a_text,
    an_object,
    check_schema,
    loaded,
    only_known,
    required,
)  # fmt: skip
from .description import (
    ACTIVATIONS,
    CHANNELS,
    DTYPES,
    FITS,
    RESIZES,
    Contract,
    ModelClass,
    ModelInput,
    ModelOutput,
)  # fmt: skip


def parse_contract(document: str | bytes | Mapping[str, Any], *, default_name: str = "") -> Contract:
    """Parse a contract from JSON text or parsed JSON. `default_name` is the name if the contract has none.

    Unknown keys of `input`, `output` and `classes` are errors, because they could change predictions. Unknown
    keys at the top level are ignored. Raises ContractError with the path of the invalid field.
    """
    top = an_object(loaded(document, "contract"), "contract")
    check_schema(top, "contract")
    classes = _classes(required(top, "classes", "contract"))
    if len(classes) == 2:
        threshold = a_number(required(top, "threshold", "contract"), "threshold", 0.0, 1.0)
    else:
        threshold = a_number(top.get("threshold", 0.5), "threshold", 0.0, 1.0)
    model_input = _input(an_object(required(top, "input", "contract"), "input"))
    output = an_object(top.get("output", {}), "output")
    only_known(output, "output", ("tensor", "activation"))
    model_output = ModelOutput(
        tensor=a_text(output.get("tensor", ModelOutput.tensor), "output.tensor"),
        activation=a_choice(
            output.get("activation", ModelOutput.activation), "output.activation", ACTIVATIONS
        ),
    )
    if model_output.activation == "sigmoid" and len(classes) != 2:
        raise ContractError(f"output.activation 'sigmoid' needs two classes; classes has {len(classes)}.")
    return Contract(
        name=a_text(top.get("name", default_name), "name", empty=True) or default_name,
        input=model_input,
        classes=classes,
        threshold=threshold,
        output=model_output,
        backbone=a_text(top.get("backbone", ""), "backbone", empty=True),
        metrics=an_object(top.get("metrics", {}), "metrics"),
        data_digest=a_text(top.get("data_digest", ""), "data_digest", empty=True),
        created=a_text(top.get("created", ""), "created", empty=True),
    )


def _input(document: Mapping[str, Any]) -> ModelInput:
    only_known(document, "input", tuple(ModelInput.__dataclass_fields__))
    dtype = a_choice(document.get("dtype", ModelInput.dtype), "input.dtype", DTYPES)
    scale = a_number(document.get("scale", ModelInput.scale), "input.scale")
    offset = a_number(document.get("offset", ModelInput.offset), "input.offset")
    if dtype == "uint8" and (scale, offset) != (1.0, 0.0):
        raise ContractError("input.scale and input.offset need input.dtype 'float32'; it is 'uint8'.")
    return ModelInput(
        height=a_side(required(document, "height", "input"), "input.height"),
        width=a_side(required(document, "width", "input"), "input.width"),
        resize=a_choice(document.get("resize", ModelInput.resize), "input.resize", RESIZES),
        fit=a_choice(document.get("fit", ModelInput.fit), "input.fit", FITS),
        tensor=a_text(document.get("tensor", ModelInput.tensor), "input.tensor"),
        dtype=dtype,
        scale=scale,
        offset=offset,
        channels=a_choice(document.get("channels", ModelInput.channels), "input.channels", CHANNELS),
    )


def _classes(value: Any) -> tuple[ModelClass, ...]:
    classes = []
    for i, each in enumerate(a_list(value, "classes")):
        item = an_object(each, f"classes[{i}]")
        only_known(item, f"classes[{i}]", ("name", "message"))
        name = a_text(required(item, "name", f"classes[{i}]"), f"classes[{i}].name")
        message = a_text(item.get("message", name), f"classes[{i}].message", empty=True)
        classes.append(ModelClass(name=name, message=message or name))
    names = [each.name for each in classes]
    if len(names) < 2:
        raise ContractError(f"classes has {len(names)} entries; a classifier needs at least two.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ContractError(f"classes contains '{twice[0]}' more than once.")
    return tuple(classes)
