"""Checks of single fields of parsed JSON.

Each function returns the value, or raises ContractError with the path of the invalid field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

SCHEMA = 1
#: The maximum width and height of a model's input. It limits the memory that a wrong contract can cost.
MAX_SIDE = 4096
#: The maximum fixed number of pictures in a call. Missing pictures are padded, which costs as much as they
#: would.
MAX_BATCH = 64


class ContractError(ValueError):
    """A contract is invalid, or a model's output violates it. The message names the field and the reason."""


def loaded(document: str | bytes | Mapping[str, Any], what: str) -> Any:
    """The document; parsed as JSON if it is text."""
    if not isinstance(document, str | bytes):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"The model's {what} is not JSON: {error}.") from None


def check_schema(document: Mapping[str, Any], what: str) -> None:
    """Raise ContractError if the document has another schema version."""
    schema = document.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise ContractError(
            f"The model's {what} has schema {schema!r}; this version reads schema {SCHEMA} only."
        )


def required(document: Mapping[str, Any], key: str, where: str) -> Any:
    """The value of a key that must be present."""
    if key not in document:
        raise ContractError(f"{where} lacks '{key}'.")
    return document[key]


def only_known(document: Mapping[str, Any], where: str, keys: tuple[str, ...]) -> None:
    """Raise ContractError if the object has a key that is not in `keys`."""
    if unknown := sorted(set(document) - set(keys)):
        raise ContractError(f"{where} has the unknown key '{unknown[0]}'; known are {', '.join(keys)}.")


def an_object(value: Any, where: str) -> Mapping[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, Mapping):
        raise ContractError(f"{where} must be an object, not {type(value).__name__}.")
    return value


def a_list(value: Any, where: str) -> list[Any]:
    """The value, if it is a list."""
    if not isinstance(value, list):
        raise ContractError(f"{where} must be a list, not {type(value).__name__}.")
    return value


def a_text(value: Any, where: str, *, empty: bool = False) -> str:
    """The value, if it is a string, which may be empty only if `empty` is true."""
    if not isinstance(value, str) or not (value or empty):
        raise ContractError(f"{where} must be a {'' if empty else 'non-empty '}string, not {value!r:.60}.")
    return value


def a_choice(value: Any, where: str, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise ContractError(f"{where} must be one of {', '.join(choices)}, not {value!r:.60}.")
    return str(value)


def a_number(value: Any, where: str, least: float = -math.inf, most: float = math.inf) -> float:
    """The value, if it is a finite number within the limits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ContractError(f"{where} must be a number, not {value!r:.60}.")
    if not math.isfinite(value) or not least <= value <= most:
        bounds = f"between {least:g} and {most:g}" if math.isfinite(least) else "finite"
        raise ContractError(f"{where} must be {bounds}, not {value!r:.60}.")
    return float(value)


def a_side(value: Any, where: str) -> int:
    """The value, if it is a valid number of pixels."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
        raise ContractError(
            f"{where} must be a whole number of pixels between 1 and {MAX_SIDE}, not {value!r:.60}."
        )
    return value
