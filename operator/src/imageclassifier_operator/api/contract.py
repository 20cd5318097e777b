"""The contract of a model without its own: from `spec.classes`, `input` and `output`.

It has the form of the routing file in docs/architecture.md. The gateway uses it in place of the model's own
contract.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from imageclassifier_operator.api import class_list
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.numbers import share
from imageclassifier_operator.api.pixel_values import pixel_values

THRESHOLD = 0.5
INPUT: Mapping[str, Any] = {"resize": "bilinear", "fit": "squash", "scale": 1.0, "offset": 0.0}
#: The values that these fields had by default in earlier releases. Now the gateway reads what is absent from
#: the model.
EARLIER_DEFAULTS: Mapping[str, Any] = {"dtype": "uint8", "channels": "rgb"}
FLOAT_DTYPES = ("float16", "bfloat16", "float32", "float64")
ACTIVATION = "none"


def parse_contract(
    spec: Mapping[str, Any], *, model_name: str, class_text: str | None = None
) -> dict[str, Any] | None:
    """The contract in `spec`; None if the model has its own. Raises InvalidSpec for a part of one.

    `class_text`: the text that `spec.classesFrom` refers to.
    """
    model_input, output = spec.get("input"), spec.get("output")
    classes = _classes(spec, class_text, model_name)
    if classes is None:
        for name, given in (("input", model_input), ("output", output)):
            if given is not None:
                raise InvalidSpec(
                    f"spec.{name} needs spec.classes or spec.classesFrom, because it is for models without a "
                    f"contract. Set one of them, or remove spec.{name}."
                )
        return None
    output = output or {}
    threshold = output.get("threshold")
    contract: dict[str, Any] = {
        "schema": 1,
        "name": model_name,
        "input": _input(model_input or {}),
        "classes": classes,
        "threshold": THRESHOLD if threshold is None else share(threshold, "spec.output.threshold"),
        "output": {"activation": output.get("activation", ACTIVATION)},
    }
    if output.get("tensor"):
        contract["output"]["tensor"] = output["tensor"]
    return contract


def _classes(spec: Mapping[str, Any], class_text: str | None, model_name: str) -> Any:
    """The classes as the contract stores them; None if the spec has none."""
    classes, reference = spec.get("classes"), spec.get("classesFrom")
    if classes is not None and reference is not None:
        raise InvalidSpec("The spec has classes and classesFrom. Remove one of them.")
    if reference is not None:
        return _classes_from(reference, class_text, model_name)
    if classes is None:
        return None
    names = [entry["name"] for entry in classes]
    _refuse_repeated(names)
    if len(names) < 2:
        raise InvalidSpec("spec.classes has fewer than two classes. List all classes of the model.")
    return class_list.stored_list(classes)


def _refuse_repeated(names: Sequence[str]) -> None:
    """Raise InvalidSpec if two classes have one name."""
    first: dict[str, int] = {}
    for column, name in enumerate(names):
        if first.setdefault(name, column) != column:
            raise InvalidSpec(
                f"spec.classes contains the name {name} twice, for the outputs {first[name]} and {column} of "
                "the model. Give each class its own name, and set displayName to the name that people know."
            )


def _classes_from(reference: Mapping[str, Any], class_text: str | None, model_name: str) -> dict[str, Any]:
    background = reference.get("background", class_list.DETECT)
    config_map, model_file = reference.get("configMap"), reference.get("modelFile")
    if (config_map is None) == (model_file is None):
        raise InvalidSpec(
            "spec.classesFrom has no source of the classes, or two. Set exactly one of configMap and "
            "modelFile."
        )
    if model_file is not None:
        return class_list.stored_reference(model_name, model_file.get("path"), background)
    assert config_map is not None
    file = f"key {config_map['key']} of ConfigMap {config_map['name']}"
    if class_text is None:
        raise InvalidSpec(f"The classes in {file} could not be read.")
    return class_list.stored_text(class_text, file, background)


def _input(model_input: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's input, with the scale and offset that `preprocess` and `rescaling` mean."""
    plain = {
        key: value
        for key, value in model_input.items()
        if value is not None and key not in ("preprocess", "rescaling")
    }
    values = pixel_values(model_input)
    dtype = plain.get("dtype", "float32")
    changes = {key: value for key, value in values.items() if key != "channels" and value != INPUT[key]}
    is_rescaled = model_input.get("rescaling") is not None or changes
    if is_rescaled and dtype not in FLOAT_DTYPES:
        name = "preprocess" if model_input.get("rescaling") is None else "rescaling"
        raise InvalidSpec(
            f"spec.input.{name} needs floating-point numbers, but spec.input.dtype is {dtype}. Set "
            f"spec.input.dtype to float32 or remove it, or remove spec.input.{name}."
        )
    return {**INPUT, **plain, **values}


def without_defaults(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract without the values that `parse_contract` fills in, for hashes: see `digest`.

    Fields that had a default in earlier releases are left out if they have it, and null if they are absent,
    so that stored objects keep their hash and the removal of such a field is a change.
    """
    pixels, output = dict(contract["input"]), dict(contract["output"])
    if output.get("activation") == ACTIVATION:
        del output["activation"]
    pixels = {key: value for key, value in pixels.items() if key not in INPUT or value != INPUT[key]}
    for key, default in EARLIER_DEFAULTS.items():
        if pixels.setdefault(key, None) == default:
            del pixels[key]
    classes = class_list.for_hash(contract["classes"])
    return {**contract, "input": pixels, "output": output, "classes": classes}
