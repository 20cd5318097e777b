"""Pictures with known answers, which a model carries behind its `golden` signature."""

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
    """Pictures with known answers, for checking a model end to end.

    `tolerance` is absolute, per probability.
    """

    tolerance: float
    cases: tuple[GoldenCase, ...]

    def to_json(self) -> str:
        """What the `golden` signature answers."""
        cases = [
            {"png": base64.b64encode(case.png).decode(), "probabilities": list(case.probabilities)}
            for case in self.cases
        ]
        return json.dumps({"schema": SCHEMA, "tolerance": self.tolerance, "cases": cases}, allow_nan=False)


def parse_golden(document: str | bytes | Mapping[str, Any]) -> Golden:
    """Read what the `golden` signature answered. Raises ContractError with the path of what is wrong."""
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
