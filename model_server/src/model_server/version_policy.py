"""Which versions a model should serve, and what to load or unload next: pure functions over plain values.

Two policies of TensorFlow Serving meet here: a ServableVersionPolicy (latest, all, specific) picks versions
from the names found under a base path, and the AvailabilityPreservingPolicy orders the loads and unloads so
that a version only leaves when another one serves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal


@dataclass(frozen=True)
class Latest:
    """The highest `num_versions` versions; 0 means 1, as in TensorFlow Serving."""

    num_versions: int = 1


@dataclass(frozen=True)
class All:
    """Every version found."""


@dataclass(frozen=True)
class Specific:
    """Exactly these versions, as far as they are found."""

    versions: frozenset[int]


VersionPolicy = Latest | All | Specific


def aspired_versions(policy: VersionPolicy, names: Iterable[str]) -> dict[int, str]:
    """Pick the versions to serve from the names of files under a base path.

    Returns version -> name. A name that is no number is passed over; of names for the same number (`1` and
    `0001`) the last in sorted order is taken.
    """
    found = {}
    for name in sorted(names):
        if name.strip().lstrip("+-").isascii() and name.strip().lstrip("+-").isdigit():
            found[int(name)] = name
    match policy:
        case Latest(num_versions):
            chosen = sorted(found, reverse=True)[: max(num_versions, 1)]
        case All():
            chosen = list(found)
        case Specific(versions):
            chosen = [version for version in found if version in versions]
    return {version: found[version] for version in sorted(chosen)}


class Phase(Enum):
    """The state of a version in the manager."""

    NEW = auto()
    LOADING = auto()
    READY = auto()
    UNLOADING = auto()
    GONE = auto()
    FAILED = auto()


@dataclass(frozen=True)
class Snapshot:
    """One version as the ordering policy sees it."""

    phase: Phase
    aspired: bool


@dataclass(frozen=True)
class Action:
    """The next step for one version."""

    kind: Literal["load", "unload"]
    version: int


def next_action(versions: Mapping[int, Snapshot]) -> Action | None:
    """The next step for a model's versions, availability first (availability_preserving_policy.cc).

    An unwanted version is unloaded when nothing is wanted any more, when a wanted one serves, or when two
    unwanted ones serve; otherwise the highest new wanted version is loaded.
    """
    aspired = [snapshot for snapshot in versions.values() if snapshot.aspired]
    unwanted = [v for v, s in versions.items() if not s.aspired and s.phase is Phase.READY]
    aspired_serves = any(snapshot.phase is Phase.READY for snapshot in aspired)
    if unwanted and (not aspired or aspired_serves or len(unwanted) > 1):
        return Action("unload", min(unwanted))
    new = [v for v, s in versions.items() if s.aspired and s.phase is Phase.NEW]
    return Action("load", max(new)) if new else None
