"""The plan of a verification: which candidate to check, and what it must do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.checks import ContractError, a_list, a_number, a_text, an_object, required

_PICTURE_SOURCES = ("base64", "file", "url")
#: A day; no Job runs for longer.
_MAX_DEADLINE_SECONDS = 24 * 3600


class PlanError(ValueError):
    """The plan cannot be carried out; the message says which field is wrong."""


@dataclass(frozen=True)
class Target:
    """A version and where its pods are; `contract` is that of a model that does not describe itself."""

    version: int
    address: str
    contract: Mapping[str, Any] | None


@dataclass(frozen=True)
class Case:
    """A picture, the label it must get, and how probable that label must at least be.

    `source` says what `picture` is: `base64`, the name of a `file`, or a `url`.
    """

    name: str
    label: str
    min_probability: float
    source: str
    picture: str


@dataclass(frozen=True)
class Plan:
    """All that a verification does; docs/architecture.md describes its JSON."""

    model: str
    candidate: Target
    serving: Target | None
    allow_class_change: bool
    cases: tuple[Case, ...]
    min_pass_percent: float
    deadline_seconds: float


def parse_plan(document: Any) -> Plan:
    """Reads a plan from parsed JSON. Raises PlanError when a field is missing or malformed."""
    try:
        top = an_object(document, "the plan")
        serving = top.get("serving")
        allowed = top.get("allow_class_change", False)
        if not isinstance(allowed, bool):
            raise PlanError(f"allow_class_change must be true or false, not {allowed!r:.60}.")
        return Plan(
            model=a_text(required(top, "model", "the plan"), "model"),
            candidate=_target(required(top, "candidate", "the plan"), "candidate"),
            serving=None if serving is None else _target(serving, "serving"),
            allow_class_change=allowed,
            cases=tuple(
                _case(each, f"cases[{index}]")
                for index, each in enumerate(a_list(top.get("cases", []), "cases"))
            ),
            min_pass_percent=a_number(top.get("min_pass_percent", 100), "min_pass_percent", 0, 100),
            deadline_seconds=a_number(
                required(top, "deadline_seconds", "the plan"), "deadline_seconds", 0, _MAX_DEADLINE_SECONDS
            ),
        )
    except ContractError as error:
        raise PlanError(str(error)) from None


def _target(value: Any, where: str) -> Target:
    entry = an_object(value, where)
    contract = entry.get("contract")
    version = required(entry, "version", where)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 2**31:
        raise PlanError(f"{where}.version must be a whole number from 1 on, not {version!r:.60}.")
    return Target(
        version=version,
        address=a_text(required(entry, "target", where), f"{where}.target"),
        contract=None if contract is None else an_object(contract, f"{where}.contract"),
    )


def _case(value: Any, where: str) -> Case:
    entry = an_object(value, where)
    picture = an_object(required(entry, "picture", where), f"{where}.picture")
    if len(picture) != 1 or not set(picture) <= set(_PICTURE_SOURCES):
        raise PlanError(f"{where}.picture must have exactly one of {', '.join(_PICTURE_SOURCES)}.")
    [(source, text)] = picture.items()
    return Case(
        name=a_text(required(entry, "name", where), f"{where}.name"),
        label=a_text(required(entry, "label", where), f"{where}.label"),
        min_probability=a_number(entry.get("min_probability", 0.0), f"{where}.min_probability", 0, 1),
        source=source,
        picture=a_text(text, f"{where}.picture.{source}"),
    )
