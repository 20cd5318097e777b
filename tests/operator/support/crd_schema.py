"""Validates a value against the CRD without an API server, for the parts of OpenAPI that it uses."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from crd_objects import CRD_FILE

SCHEMA: dict[str, Any] = yaml.safe_load(CRD_FILE.read_text("utf-8"))["spec"]["versions"][0]["schema"][
    "openAPIV3Schema"
]
STATUS: dict[str, Any] = SCHEMA["properties"]["status"]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
_BITS = {"int32": 31, "int64": 63}


def complaints(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """Why the API server would refuse `value`: one sentence for each reason."""
    kind = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path} is no {kind}: {value!r}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is none of {schema['enum']}: {value!r}"
    if kind in ("string", "array"):
        least, most = ("minLength", "maxLength") if kind == "string" else ("minItems", "maxItems")
        if not schema.get(least, 0) <= len(value) <= schema.get(most, len(value)):
            yield f"{path} has length {len(value)}"
    if kind in ("integer", "number"):
        most = 2 ** _BITS.get(schema.get("format", ""), 1023) - 1
        if not schema.get("minimum", -most - 1) <= value <= schema.get("maximum", most):
            yield f"{path} is out of range: {value}"
    if kind == "array":
        for index, item in enumerate(value):
            yield from complaints(schema["items"], item, f"{path}[{index}]")
    if kind == "object":
        yield from (f"{path} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, field in value.items():
            if name not in schema["properties"]:
                yield f"{path} has no field {name}"
            else:
                yield from complaints(schema["properties"][name], field, f"{path}.{name}")
