"""Finds the version that the path of a request names."""

from __future__ import annotations

from ..gateway import Gateway
from ..problems import Problem
from ..versions.fleet import Version


def find_version(gateway: Gateway, model: str, number: int | None) -> Version:
    """The version with this number; without a number, the serving version. Raises Problem (not-found)."""
    fleet = gateway.predictor.fleet()
    if model != fleet.routing.model:
        raise Problem(
            "not-found", f"There is no model '{model[:60]}'; this gateway serves '{fleet.routing.model}'."
        )
    version = fleet.serving if number is None else fleet.versions.get(number)
    if version is None:
        there = ", ".join(str(each) for each in sorted(fleet.versions))
        raise Problem("not-found", f"Version {number} of '{model}' was not found; the gateway has {there}.")
    return version
