"""The plan of a verification: the candidate and the checks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..contract.checks import ContractError, a_list, a_number, a_text, an_object, required
from ..contract.familiarity import UnfamiliarChange, parse_unfamiliar
from ..contract.unsure import Unsure, parse_unsure
from .dataset_comparison import Rules

_PICTURE_SOURCES = ("base64", "file", "url")
#: Two days. No Job runs longer.
_MAX_DEADLINE_SECONDS = 48 * 3600
#: At a higher level the test would refuse equal candidates often.
_MAX_SIGNIFICANCE_PERCENT = 20


class PlanError(ValueError):
    """The plan is invalid. The message names the field."""


@dataclass(frozen=True)
class Target:
    """A version and the address of its pods. `contract` is set for models without a `contract` signature."""

    version: int
    address: str
    contract: Mapping[str, Any] | None
    unsure: Unsure | None = None
    unfamiliar: UnfamiliarChange | None = None


@dataclass(frozen=True)
class Case:
    """An acceptance picture, the expected label, and the minimum probability of this label.

    `source` says what `picture` is: `base64`, the name of a `file`, or a `url`.
    """

    name: str
    label: str
    min_probability: float
    source: str
    picture: str


@dataclass(frozen=True)
class Folder:
    """A folder with pictures of one class."""

    label: str
    path: Path


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures: in class folders below `root`, or in `folders` whose classes are given.

    More unreadable pictures than `max_unreadable_percent` end the verification without a verdict.
    """

    root: Path | None
    folders: tuple[Folder, ...]
    rules: Rules
    max_unreadable_percent: int


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
    dataset: Dataset | None = None


def parse_plan(document: Any) -> Plan:
    """Parse a plan from JSON values. Raises PlanError if a field is missing or invalid."""
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
            dataset=None if top.get("dataset") is None else _dataset(top["dataset"]),
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
        unsure=parse_unsure(entry.get("unsure"), f"{where}.unsure"),
        unfamiliar=parse_unfamiliar(entry.get("unfamiliar"), f"{where}.unfamiliar"),
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


def _dataset(value: Any) -> Dataset:
    entry = an_object(value, "dataset")
    root, least = entry.get("root"), entry.get("min_accuracy_percent")
    folders = tuple(
        _folder(each, f"dataset.folders[{index}]")
        for index, each in enumerate(a_list(entry.get("folders", []), "dataset.folders"))
    )
    if (root is None) == (not folders):
        raise PlanError("dataset must have either root or folders.")
    return Dataset(
        root=None if root is None else Path(a_text(root, "dataset.root")),
        folders=folders,
        rules=Rules(
            significance_percent=_percent(entry, "significance_percent", 5, 1, _MAX_SIGNIFICANCE_PERCENT),
            min_accuracy_percent=None
            if least is None
            else _percent(entry, "min_accuracy_percent", 0, 0, 100),
        ),
        max_unreadable_percent=_percent(entry, "max_unreadable_percent", 1, 0, 100),
    )


def _percent(entry: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    return int(a_number(entry.get(name, default), f"dataset.{name}", least, most))


def _folder(value: Any, where: str) -> Folder:
    entry = an_object(value, where)
    return Folder(
        label=a_text(required(entry, "label", where), f"{where}.label"),
        path=Path(a_text(required(entry, "path", where), f"{where}.path")),
    )
