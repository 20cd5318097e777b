"""The golden pictures of a model: pictures with known probabilities, from its `golden` signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import (
    SCHEMA,
    ContractError,
    a_list,
    a_number,
    a_text,
    an_object,
    check_schema,
    loaded,
    required,
)  # fmt: skip

#: The keys that a picture may have in the JSON, by the first bytes of its file.
_KEYS = {"jpeg": b"\xff\xd8\xff", "png": b""}


@dataclass(frozen=True)
class GoldenCase:
    """A picture file (PNG or JPEG), and what training computed for it.

    `pixels` is the `pixels_digest` of the prepared picture. Models of earlier releases do not have it.
    """

    picture: bytes
    probabilities: tuple[float, ...]
    pixels: str = ""


@dataclass(frozen=True)
class Golden:
    """Pictures with known probabilities, for an end-to-end check of a model.

    `tolerance` is the absolute tolerance for each probability.
    """

    tolerance: float
    cases: tuple[GoldenCase, ...]

    def to_json(self) -> str:
        """The golden pictures as JSON, which the `golden` signature returns."""
        cases = [_to_dict(case) for case in self.cases]
        return json.dumps({"schema": SCHEMA, "tolerance": self.tolerance, "cases": cases}, allow_nan=False)


def parse_golden(document: str | bytes | Mapping[str, Any]) -> Golden:
    """Parse the output of the `golden` signature. Raises ContractError with the path of the invalid field."""
    top = an_object(loaded(document, "golden"), "golden")
    check_schema(top, "golden")
    cases = [
        _case(an_object(each, f"cases[{i}]"), f"cases[{i}]")
        for i, each in enumerate(a_list(required(top, "cases", "golden"), "cases"))
    ]
    return Golden(
        tolerance=a_number(required(top, "tolerance", "golden"), "tolerance", 0.0, 1.0), cases=tuple(cases)
    )


def pixels_digest(pixels: NDArray[np.uint8]) -> str:
    """`sha256:` and the hash of prepared pixels, uint8 `(height, width, 3)`."""
    return "sha256:" + hashlib.sha256(pixels.tobytes()).hexdigest()


def _to_dict(case: GoldenCase) -> dict[str, Any]:
    key = next(key for key, start in _KEYS.items() if case.picture.startswith(start))
    entry = {key: base64.b64encode(case.picture).decode(), "probabilities": list(case.probabilities)}
    return {**entry, "pixels": case.pixels} if case.pixels else entry


def _case(case: Mapping[str, Any], where: str) -> GoldenCase:
    key = "jpeg" if "jpeg" in case else "png"
    try:
        picture = base64.b64decode(a_text(required(case, key, where), f"{where}.{key}"), validate=True)
    except binascii.Error as error:
        raise ContractError(f"{where}.{key} is not base64: {error}.") from None
    values = a_list(required(case, "probabilities", where), f"{where}.probabilities")
    return GoldenCase(
        picture=picture,
        probabilities=tuple(
            a_number(v, f"{where}.probabilities[{j}]", 0.0, 1.0) for j, v in enumerate(values)
        ),
        pixels=a_text(case.get("pixels", ""), f"{where}.pixels", empty=True),
    )
