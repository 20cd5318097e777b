"""The contract of a model that does not describe itself, from `spec.classes`, `threshold`, `input` and
`output`.

The form is the one of the routing file in docs/architecture.md; the gateway reads it in place of the
model's own.
"""

from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec

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
    """The contract that `spec` gives, None when it leaves it to the model.

    Raises InvalidSpec when it gives only a part.
    """
    classes, model_input, output = spec.get("classes"), spec.get("input"), spec.get("output")
    threshold = spec.get("threshold")
    if classes is None and model_input is None:
        if threshold is not None or output is not None:
            raise InvalidSpec(
                "spec.threshold and spec.output are for models that do not describe themselves: "
                "give spec.classes and spec.input too, or leave them out"
            )
        return None
    if not classes or not model_input:
        raise InvalidSpec("spec.classes and spec.input belong together: give both, or neither")
    names = [entry["name"] for entry in classes]
    if len(set(names)) != len(names):
        raise InvalidSpec("spec.classes names the same class twice: each name stands for one output column")
    if len(names) < 2:
        raise InvalidSpec("spec.classes needs at least two classes")
    taken = {key: value for key, value in {**INPUT, **model_input}.items() if value is not None}
    if taken["dtype"] == "uint8" and (taken["scale"] != 1 or taken["offset"] != 0):
        raise InvalidSpec(
            "spec.input.scale and spec.input.offset make float32 values of pixels: set spec.input.dtype to "
            "float32, or leave them out"
        )
    output = output or {}
    contract: dict[str, Any] = {
        "schema": 1,
        "name": model_name,
        "input": taken,
        "classes": [
            {"name": entry["name"], "message": entry.get("message") or f"It's {entry['name']}."}
            for entry in classes
        ],
        "threshold": THRESHOLD if threshold is None else threshold,
        "output": {"activation": output.get("activation", ACTIVATION)},
    }
    if output.get("tensor"):
        contract["output"]["tensor"] = output["tensor"]
    return contract
