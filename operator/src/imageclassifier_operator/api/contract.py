"""The contract of a model without its own: from `spec.classes`, `input` and `output`.

It has the form of the routing file in docs/architecture.md. The gateway uses it in place of the model's own
contract.
"""

from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.numbers import number, share

THRESHOLD = 0.5
INPUT: Mapping[str, Any] = {
    "resize": "bilinear",
    "fit": "squash",
    "dtype": "uint8",
    "scale": 1.0,
    "offset": 0.0,
    "channels": "rgb",
}
ACTIVATION = "none"


def parse_contract(spec: Mapping[str, Any], *, model_name: str) -> dict[str, Any] | None:
    """The contract in `spec`; None if the model has its own. Raises InvalidSpec for a part of one."""
    classes, model_input, output = spec.get("classes"), spec.get("input"), spec.get("output")
    if classes is None and model_input is None:
        if output is not None:
            raise InvalidSpec(
                "spec.output needs spec.classes and spec.input, because it is for models without a contract. "
                "Set all of them, or remove spec.output."
            )
        return None
    if not classes or not model_input:
        raise InvalidSpec("spec.classes and spec.input belong together. Set both, or neither.")
    names = [entry["name"] for entry in classes]
    if len(set(names)) != len(names):
        raise InvalidSpec(
            "spec.classes contains the same name twice. Give each class, which is one output column, its "
            "own name."
        )
    if len(names) < 2:
        raise InvalidSpec("spec.classes has fewer than two classes. List all classes of the model.")
    output = output or {}
    threshold = output.get("threshold")
    contract: dict[str, Any] = {
        "schema": 1,
        "name": model_name,
        "input": _input(model_input),
        "classes": [
            {"name": entry["name"], "message": entry.get("message") or f"It's {entry['name']}."}
            for entry in classes
        ],
        "threshold": THRESHOLD if threshold is None else share(threshold, "spec.output.threshold"),
        "output": {"activation": output.get("activation", ACTIVATION)},
    }
    if output.get("tensor"):
        contract["output"]["tensor"] = output["tensor"]
    return contract


def _input(model_input: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's input. Its `scale` and `offset` are those of `spec.input.rescaling`."""
    rescaling = model_input.get("rescaling")
    taken = {key: value for key, value in model_input.items() if value is not None and key != "rescaling"}
    for name, value in (rescaling or {}).items():
        taken[name] = number(value, f"spec.input.rescaling.{name}")
    taken = {**INPUT, **taken}
    if rescaling is not None and taken["dtype"] == "uint8":
        raise InvalidSpec(
            "spec.input.rescaling needs float32 pixels. Set spec.input.dtype to float32, or remove "
            "spec.input.rescaling."
        )
    return taken


def without_defaults(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The contract without the values that `parse_contract` fills in, for hashes: see `digest`."""
    pixels, output = dict(contract["input"]), dict(contract["output"])
    if output.get("activation") == ACTIVATION:
        del output["activation"]
    pixels = {key: value for key, value in pixels.items() if key not in INPUT or value != INPUT[key]}
    return {**contract, "input": pixels, "output": output}
