"""Parses a contract from JSON. Unknown keys that could change a prediction are errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .checks import (
    MAX_BATCH,
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
from .class_list import listed_classes
from .decoding import parse_decoding
from .description import Contract, ModelClass
from .explanation import parse_explanation
from .familiarity import parse_familiarity
from .model_input import CHANNELS, DTYPES, FITS, FLOAT_DTYPES, LAYOUTS, RESIZES, ModelInput, PerChannel
from .model_output import ACTIVATIONS, ModelOutput
from .unsure import parse_unsure


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
        unsure=parse_unsure(top.get("unsure")),
        familiarity=parse_familiarity(top.get("familiarity")),
        explanation=parse_explanation(top.get("explain")),
    )


def _input(document: Mapping[str, Any]) -> ModelInput:
    only_known(document, "input", tuple(ModelInput.__dataclass_fields__))
    dtype = a_choice(document.get("dtype", ModelInput.dtype), "input.dtype", DTYPES)
    channels = a_choice(document.get("channels", ModelInput.channels), "input.channels", CHANNELS)
    depth = 1 if channels == "gray" else 3
    scale = _per_channel(document.get("scale", ModelInput.scale), "input.scale", depth)
    offset = _per_channel(document.get("offset", ModelInput.offset), "input.offset", depth)
    if dtype not in FLOAT_DTYPES and (scale, offset) != (1.0, 0.0):
        raise ContractError(
            f"input.scale and input.offset need an input.dtype such as 'float32'; it is '{dtype}'."
        )
    return ModelInput(
        height=a_side(required(document, "height", "input"), "input.height"),
        width=a_side(required(document, "width", "input"), "input.width"),
        resize=a_choice(document.get("resize", ModelInput.resize), "input.resize", RESIZES),
        fit=a_choice(document.get("fit", ModelInput.fit), "input.fit", FITS),
        decode=parse_decoding(document.get("decode")),
        tensor=a_text(document.get("tensor", ModelInput.tensor), "input.tensor"),
        dtype=dtype,
        scale=scale,
        offset=offset,
        channels=channels,
        layout=a_choice(document.get("layout", ModelInput.layout), "input.layout", LAYOUTS),
        batch=_batch(document.get("batch")),
        signature=a_text(document.get("signature", ModelInput.signature), "input.signature"),
    )


def _batch(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_BATCH:
        raise ContractError(f"input.batch must be a whole number from 1 to {MAX_BATCH}, not {value!r:.60}.")
    return value


def _per_channel(value: Any, where: str, depth: int) -> PerChannel:
    """A number for all channels, or a list with one number for each."""
    if not isinstance(value, list | tuple):
        return a_number(value, where)
    if len(value) != depth:
        raise ContractError(
            f"{where} has {len(value)} values, but the input has {depth} "
            f"channel{'s' if depth > 1 else ''}. Give one value for each channel."
        )
    return tuple(a_number(each, f"{where}[{index}]") for index, each in enumerate(value))


def _classes(value: Any) -> tuple[ModelClass, ...]:
    classes = []
    for i, each in enumerate(a_list(listed_classes(value), "classes")):
        item = an_object(each, f"classes[{i}]")
        only_known(item, f"classes[{i}]", ("name", "display_name", "message"))
        name = a_text(required(item, "name", f"classes[{i}]"), f"classes[{i}].name")
        display_name = a_text(item.get("display_name", ""), f"classes[{i}].display_name", empty=True)
        message = a_text(item.get("message", ""), f"classes[{i}].message", empty=True)
        classes.append(ModelClass(name, message or display_name or name, display_name))
    if len(classes) < 2:
        raise ContractError(f"classes has {len(classes)} entries; a classifier needs at least two.")
    name, count = Counter(each.name for each in classes).most_common(1)[0]
    if count > 1:
        raise ContractError(f"classes contains '{name}' more than once.")
    return tuple(classes)
