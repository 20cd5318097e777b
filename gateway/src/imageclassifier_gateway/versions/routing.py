"""Parses the routing file, and chooses the version that serves a request. No I/O, no clock.

docs/architecture.md describes the file. Only the operator writes it, and only the file decides how traffic is
split.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.checks import ContractError
from ..contract.familiarity import UnfamiliarChange, parse_unfamiliar
from ..contract.unsure import Unsure, parse_unsure

SCHEMA = 1
#: Requests are split into this many buckets of equal size: a hundred for each percent.
BUCKETS = 10_000


class RoutingError(ValueError):
    """The routing file is invalid. The message names the field and the reason."""


@dataclass(frozen=True)
class Route:
    """One version of the model and its share of the requests."""

    version: int
    target: str
    percent: int
    #: The calls that each pod works on at once; None: the routing file does not say.
    calls: int | None = None
    #: The contract as JSON text, for a model without a `contract` signature.
    contract: str | None = None
    #: The rule of the spec for unsure predictions, in place of that in the contract.
    unsure: Unsure | None = None
    #: What the spec changes in the model's rule for unfamiliar pictures.
    unfamiliar: UnfamiliarChange | None = None


@dataclass(frozen=True)
class Shadow:
    """The version that gets copies of requests, and the percentage of requests that are copied."""

    version: int
    percent: int


@dataclass(frozen=True)
class Sticky:
    """The source of the value that keeps a user on one version: exactly one of the fields is set."""

    header: str | None = None
    cookie: str | None = None


@dataclass(frozen=True)
class Routing:
    """The whole file: the versions, the serving version, and the share of traffic of each."""

    revision: int
    model: str
    serving: int
    routes: tuple[Route, ...]
    #: The version that gets the requests that a new serving version fails to answer.
    fallback: int | None = None
    shadow: Shadow | None = None
    sticky: Sticky | None = None


def parse_routing(text: str | bytes) -> Routing:
    """Parse a routing file. Raises RoutingError if it is invalid or contradicts itself."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RoutingError(f"The routing file is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise RoutingError("The routing file must hold a JSON object.")
    if document.get("schema") != SCHEMA:
        raise RoutingError(
            f"The routing file has schema {document.get('schema')!r}; this gateway reads {SCHEMA}."
        )
    entries = document.get("versions")
    if not isinstance(entries, list) or not entries:
        raise RoutingError("The routing file's 'versions' must be a list with at least one version.")
    routes = tuple(_route(entry, f"versions[{index}]") for index, entry in enumerate(entries))
    known = {route.version for route in routes}
    if len(known) != len(routes):
        raise RoutingError("The routing file lists a version twice.")
    total = sum(route.percent for route in routes)
    if total != 100:
        raise RoutingError(f"The routing file's percents sum to {total}; they must sum to 100.")
    serving = _whole(document, "serving", "the routing file", 1, 2**31 - 1)
    if serving not in known:
        raise RoutingError(f"The routing file's serving version {serving} is not one of its versions.")
    return Routing(
        revision=_whole(document, "revision", "the routing file", 0, 2**53),
        model=_text(document, "model", "the routing file"),
        serving=serving,
        routes=routes,
        fallback=_fallback(document, known, serving),
        shadow=_shadow(document.get("shadow"), known),
        sticky=_sticky(document.get("sticky")),
    )


def bucket(sticky_value: str) -> int:
    """The bucket (0 to 9999) of a user's sticky value. It never changes."""
    digest = hashlib.sha256(sticky_value.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS


def random_bucket() -> int:
    """A random bucket, which no client can predict or choose."""
    return secrets.randbelow(BUCKETS)


def choose_version(routing: Routing, place: int) -> int:
    """The version that serves a request in this bucket.

    The candidate gets the lowest buckets. So a higher percentage moves users only to the candidate, never
    back.
    """
    upper = 0
    for route in routing.routes:
        if route.version != routing.serving:
            upper += route.percent * (BUCKETS // 100)
            if place < upper:
                return route.version
    return routing.serving


def retry_version(routing: Routing, version: int) -> int | None:
    """The version to retry on if `version` fails: the serving version for a candidate, else the fallback.

    None if there is no such version.
    """
    return routing.serving if version != routing.serving else routing.fallback


def is_shadowed(shadow: Shadow, place: int) -> bool:
    """Whether a request in this bucket also goes to the shadow version."""
    return place < shadow.percent * (BUCKETS // 100)


def _route(entry: Any, where: str) -> Route:
    if not isinstance(entry, dict):
        raise RoutingError(f"{where} must be an object.")
    contract = entry.get("contract")
    if contract is not None and not isinstance(contract, dict):
        raise RoutingError(f"{where}.contract must be an object.")
    try:
        unsure = parse_unsure(entry.get("unsure"), f"{where}.unsure")
        unfamiliar = parse_unfamiliar(entry.get("unfamiliar"), f"{where}.unfamiliar")
    except ContractError as error:
        raise RoutingError(str(error)) from None
    return Route(
        version=_whole(entry, "version", where, 1, 2**31 - 1),
        target=_text(entry, "target", where),
        percent=_whole(entry, "percent", where, 0, 100),
        calls=None if entry.get("calls") is None else _whole(entry, "calls", where, 1, 2**16),
        contract=None if contract is None else json.dumps(contract, sort_keys=True),
        unsure=unsure,
        unfamiliar=unfamiliar,
    )


def _fallback(document: Mapping[str, Any], known: set[int], serving: int) -> int | None:
    if document.get("fallback") is None:
        return None
    fallback = _whole(document, "fallback", "the routing file", 1, 2**31 - 1)
    if fallback not in known or fallback == serving:
        raise RoutingError(
            f"The routing file's fallback version {fallback} must be one of its versions, "
            "not the serving one."
        )
    return fallback


def _shadow(entry: Any, known: set[int]) -> Shadow | None:
    if entry is None:
        return None
    if not isinstance(entry, dict):
        raise RoutingError("The routing file's 'shadow' must be an object.")
    shadow = Shadow(
        version=_whole(entry, "version", "shadow", 1, 2**31 - 1),
        percent=_whole(entry, "percent", "shadow", 0, 100),
    )
    if shadow.version not in known:
        raise RoutingError(f"The routing file's shadow version {shadow.version} is not one of its versions.")
    return shadow


def _sticky(entry: Any) -> Sticky | None:
    if entry is None:
        return None
    if not isinstance(entry, dict) or set(entry) not in ({"header"}, {"cookie"}):
        raise RoutingError("The routing file's 'sticky' must have either 'header' or 'cookie'.")
    return Sticky(**{name: _text(entry, name, "sticky") for name in entry})


def _whole(document: Mapping[str, Any], name: str, where: str, least: int, most: int) -> int:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise RoutingError(
            f"'{name}' of {where} must be a whole number from {least} to {most}, not {value!r:.40}."
        )
    return value


def _text(document: Mapping[str, Any], name: str, where: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise RoutingError(f"'{name}' of {where} must be a non-empty string, not {value!r:.40}.")
    return value
