"""States, goals and snapshots for tests of a single decision: version 1 serves, 2 is the candidate."""

from dataclasses import replace
from typing import Any

from imageclassifier_operator.api import (
    ImageSource,
    ModelVersion,
    RolloutSettings,
    ServingSettings,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
    Snapshot,
    Verdict,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Decision, Goal
from imageclassifier_operator.rollout.state import Phase, State

NOW = 10_000.0
PASSED = Verdict(True, Reason.READY, "")


def served(version: int, memory: str = "1Gi", image: str | None = None, server: str = "tf:1") -> ModelVersion:
    serving = ServingSettings(resources={"requests": {"memory": memory}}, image=image)
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), serving, None, server)


ONE, TWO = served(1), served(2)
ROLLING = State(revision=5, serving=ONE, candidate=TWO, attempt="a", since=NOW)


def goal(wanted: ModelVersion = TWO, attempt: str = "a", promote: str = "", **rules: Any) -> Goal:
    return Goal(
        wanted,
        attempt,
        RolloutSettings(**{"min_requests": 0, "on_inconclusive": "Continue", **rules}),
        promote,
    )


def seen(
    *, connected: bool = True, report: bool = True, error: str | None = None, revision: int = 5, **more: Any
) -> Snapshot:
    """Both versions are ready, and the only gateway has acknowledged the routing."""
    says = {1: VersionReport(True), 2: VersionReport(connected, error=error)}
    gateway = GatewaySnapshot("pizza-gateway-x", True, GatewayReport("g", revision, says) if report else None)
    versions = {v.version: VersionSnapshot(v.input_hash, True, 1) for v in (ONE, TWO)}
    observed = Snapshot(versions=versions, gateways=(gateway,), acknowledged_seconds=99.0)
    return replace(observed, **more)


def names(decision: Decision) -> list[str]:
    return [each.name for each in decision.taken]


SETTLING = State(revision=5, phase=Phase.SETTLE, since=NOW, serving=TWO, previous=ONE, attempt="a")
BROKEN = Problem(Reason.OUT_OF_MEMORY, "the container used too much", fatal=True)


def broken(version: ModelVersion) -> Snapshot:
    looks = seen()
    up = {**looks.versions, version.version: VersionSnapshot(version.input_hash, False, 0, problem=BROKEN)}
    return replace(looks, versions=up)
