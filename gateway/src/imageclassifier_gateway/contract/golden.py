"""The golden pictures of a model: pictures with known probabilities, from its `golden` signature."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .checks import SCHEMA, ContractError, a_list, a_number, a_text, an_object, check_schema, loaded, required


@dataclass(frozen=True)
class GoldenCase:
    """A small PNG and the probabilities that training computed for it."""

    png: bytes
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Golden:
    """Pictures with known probabilities, for an end-to-end check of a model.

    `tolerance` is the absolute tolerance for each probability.
    """

    tolerance: float
    cases: tuple[GoldenCase, ...]

    def to_json(self) -> str:
        """The golden pictures as JSON, which the `golden` signature returns."""
        cases = [
            {"png": base64.b64encode(case.png).decode(), "probabilities": list(case.probabilities)}
            for case in self.cases
        ]
        return json.dumps({"schema": SCHEMA, "tolerance": self.tolerance, "cases": cases}, allow_nan=False)


def parse_golden(document: str | bytes | Mapping[str, Any]) -> Golden:
    """Parse the output of the `golden` signature. Raises ContractError with the path of the invalid field."""
    top = an_object(loaded(document, "golden"), "golden")
    check_schema(top, "golden")
    cases = []
    for i, each in enumerate(a_list(required(top, "cases", "golden"), "cases")):
        case = an_object(each, f"cases[{i}]")
        try:
            png = base64.b64decode(
                a_text(required(case, "png", f"cases[{i}]"), f"cases[{i}].png"), validate=True
            )
        except binascii.Error as error:
            raise ContractError(f"cases[{i}].png is not base64: {error}.") from None
        values = a_list(required(case, "probabilities", f"cases[{i}]"), f"cases[{i}].probabilities")
        numbers = tuple(a_number(v, f"cases[{i}].probabilities[{j}]", 0.0, 1.0) for j, v in enumerate(values))
        cases.append(GoldenCase(png=png, probabilities=numbers))
    return Golden(
        tolerance=a_number(required(top, "tolerance", "golden"), "tolerance", 0.0, 1.0), cases=tuple(cases)
    )
