"""What one process remembers between the passes over one ImageClassifier: hints only, lost without harm.

Who has acknowledged which routing revision, when gateways were last touched, which state was found when
nothing could be stored yet. A new leader starts with none of it and asks again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.observe.gateway_health import Hearing
from imageclassifier_operator.observe.types import GatewayReport, Problem
from imageclassifier_operator.rollout.state import State

Json = Mapping[str, Any]

TOUCH_AGAIN_SECONDS = 0.4
QUICK_TOUCHES = 10
MAX_TOUCH_AGAIN_SECONDS = 30.0


@dataclass
class Touch:
    """A gateway pod was annotated for `revision`: `count` times, last at `at`."""

    revision: int
    count: int
    at: float


@dataclass
class Unverified:
    """The verification `job` ended `tries` times without a verdict; the last time because of `problem`."""

    job: str
    problem: Problem
    tries: int = 0


@dataclass
class Memory:
    """Hints about one ImageClassifier. `uid` tells a new object from an old one of the same name."""

    uid: str
    began: float = 0.0
    state: State | None = None
    hearing: Hearing = field(default_factory=Hearing)
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Gateway pod uid -> the revision that it last said it had applied."""
    all_acknowledged: tuple[int, float] | None = None
    """The revision that every ready gateway was seen to have, and since when."""
    unusable: tuple[int, float] | None = None
    """The candidate that some ready gateway cannot use, and since when."""
    routing_written: tuple[int, float] | None = None
    """The newest revision that this process wrote, and when."""
    measured: int = 0
    touches: dict[str, Touch] = field(default_factory=dict)
    told_problem: Problem | None = None
    blocked: Problem | None = None
    """What kept the last pass from writing a child."""
    failing: bool = False
    """The last pass did not get through its writes, for an error of the API server."""
    untold: list[dict[str, Any]] = field(default_factory=list)
    """Events about what has happened that are not posted yet."""
    unverified: Unverified | None = None
    status_due: float | None = None
    """When a status that differs in no condition has to be written at the latest."""

    def hear(self, reports: Mapping[str, GatewayReport]) -> None:
        for uid, report in reports.items():
            self.acknowledged[uid] = report.revision

    def forget_pods(self, pods: Iterable[Json]) -> None:
        """Keep hints of these pods only."""
        there = {pod["metadata"]["uid"] for pod in pods}
        self.acknowledged = {uid: revision for uid, revision in self.acknowledged.items() if uid in there}
        self.touches = {uid: touch for uid, touch in self.touches.items() if uid in there}
        self.hearing.forget_others(there)

    def acknowledged_seconds(self, revision: int, ready: Iterable[Json], now: float) -> float | None:
        """For how long every one of the `ready` gateway pods has been on `revision`; None when not, or none
        is.
        """
        uids = [pod["metadata"]["uid"] for pod in ready]
        if not uids or any(self.acknowledged.get(uid) != revision for uid in uids):
            self.all_acknowledged = None
            return None
        if self.all_acknowledged is None or self.all_acknowledged[0] != revision:
            self.all_acknowledged = (revision, now)
        return now - self.all_acknowledged[1]

    def unusable_seconds(self, candidate: int | None, now: float) -> float:
        """For how long `candidate` has been one that some gateway cannot use; None: there is no such one."""
        if candidate is None:
            self.unusable = None
            return 0.0
        if self.unusable is None or self.unusable[0] != candidate:
            self.unusable = (candidate, now)
        return now - self.unusable[1]

    def needs_touch(self, pod: Json, revision: int, now: float) -> bool:
        """Whether a gateway pod has to be annotated (again) so that its kubelet looks for the new routing
        file.

        Again when it has not helped: the annotation can overtake the kubelet's own watch of the
        ConfigMap. After some tries the intervals grow.
        """
        uid = pod["metadata"]["uid"]
        if self.acknowledged.get(uid) == revision:
            return False
        touch = self.touches.get(uid)
        if touch is None or touch.revision != revision:
            return True
        wait = TOUCH_AGAIN_SECONDS * 2 ** max(0, touch.count - QUICK_TOUCHES)
        return bool(now - touch.at >= min(MAX_TOUCH_AGAIN_SECONDS, wait))

    def touches_of(self, pod: Json, revision: int) -> int:
        """How often it has been annotated for this revision."""
        touch = self.touches.get(pod["metadata"]["uid"])
        return touch.count if touch is not None and touch.revision == revision else 0

    def touched(self, pod: Json, revision: int, now: float) -> None:
        """Note a touch."""
        self.touches[pod["metadata"]["uid"]] = Touch(revision, self.touches_of(pod, revision) + 1, now)
