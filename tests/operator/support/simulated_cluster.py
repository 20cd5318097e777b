"""Versions, Deployments and gateways of a simulated cluster, and the strategies of its rollouts."""

import dataclasses
from typing import Any

from imageclassifier_operator.api import (
    ImageSource,
    Limits,
    ModelVersion,
    RolloutSettings,
    ServingSettings,
    Shadow,
    Step,
    Sticky,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Counters,
    GatewayReport,
    Problem,
    ShadowReport,
    VersionReport,
)

VERSIONS = (1, 2, 3)
STRATEGIES = {
    "at once": RolloutSettings(keep_previous_seconds=60, progress_deadline_seconds=100),
    "in steps": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(10, 30), Step(50, 30)),
        min_requests=10,
    ),
    "in steps, on while inconclusive": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(10, 30), Step(50, 30)),
        on_inconclusive="Continue",
    ),
    "in the shadow": RolloutSettings(
        keep_previous_seconds=0,
        progress_deadline_seconds=100,
        shadow=Shadow(50, 0.9, 10),
        limits=Limits(0.05, 100),
        min_requests=10,
    ),
    "in steps, sticky": RolloutSettings(
        keep_previous_seconds=60,
        progress_deadline_seconds=100,
        steps=(Step(5, 30), Step(40, 30)),
        sticky=Sticky("header", "X-User"),
        min_requests=10,
    ),
    "paused": RolloutSettings(
        paused=True, progress_deadline_seconds=100, steps=(Step(20, 5),), min_requests=0
    ),
}
STRATEGY_NAMES = {id(rollout): name for name, rollout in STRATEGIES.items()}
BROKEN = Problem(Reason.OUT_OF_MEMORY, "the container used too much", fatal=True)
HANGS = Problem(Reason.NOT_ANSWERING, "the container fails its readiness probe")
OF_THE_CLUSTER = (Reason.POD_EVICTED, Reason.NODE_LOST, Reason.UNSCHEDULABLE)


def served(version: int, memory: str = "1Gi") -> ModelVersion:
    serving = ServingSettings(resources={"requests": {"memory": memory}})
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), serving, None, "tf")


def deployed(made: ModelVersion, *, ready: bool, has_served: bool = False) -> dict[str, Any]:
    """The Deployment of a version, whose pods no node has disturbed yet.

    `replicas` is the number in its spec, and `pods` how many of them run.
    """
    return {
        "served": made,
        "replicas": 2,
        "pods": 2,
        "ready": ready,
        "problem": None,
        "disrupted_at": None,
        "has_served": has_served,
    }


@dataclasses.dataclass
class Gateway:
    """A gateway process that reads the routing file after the kubelet's delay."""

    start_id: str
    file: dict | None = None
    cut_off: set[int] = dataclasses.field(default_factory=set)
    counters: dict[int, tuple[int, int, int]] = dataclasses.field(default_factory=dict)
    compared: int = 0
    agreed: int = 0

    def report(self, ready_versions: set[int]) -> GatewayReport:
        entries = self.file["versions"] if self.file else []
        shadow = (self.file or {}).get("shadow")
        return GatewayReport(
            start_id=self.start_id,
            revision=self.file["revision"] if self.file else 0,
            versions={
                entry["version"]: VersionReport(
                    ready=entry["version"] in ready_versions - self.cut_off,
                    counters=self.figures(entry["version"]),
                )
                for entry in entries
            },
            shadow=None if shadow is None else ShadowReport(shadow["version"], self.compared, self.agreed),
        )

    def figures(self, version: int) -> Counters:
        good, bad, slow = self.counters.get(version, (0, 0, 0))
        total = good + bad + slow
        return Counters(total, bad, {"0.05": good, "0.5": good + bad + slow, "+Inf": total})
