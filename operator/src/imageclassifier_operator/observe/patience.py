"""Patience: a problem of an ordinary start is shown only once it outlasts that. Pure.

A container that has just started does not answer its readiness probe yet, and a kubelet that has just heard
of a pod may not have its ConfigMaps yet. Until then the conditions say what is being waited for. A fatal
problem is shown at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem

ORDINARY_SECONDS: Mapping[Reason, float] = {
    # A gateway reads its first routing file one or two seconds after it was written, a busy node later.
    Reason.NOT_ANSWERING: 10.0,
    # The kubelet posts "failed to sync configmap cache" and retries, at first each second.
    Reason.VOLUME_FAILED: 15.0,
    # The pods that are replaced still take the room of their successors.
    Reason.UNSCHEDULABLE: 5.0,
}
"""How long each of these problems may last in an ordinary start."""


@dataclass
class Patience:
    """Since when each problem of one ImageClassifier lasts, by its place, such as the gateway."""

    known: frozenset[str] = frozenset()
    """The reasons in the status when this process saw the object first. A problem among them is not new."""
    _since: dict[str, tuple[Reason, float]] = field(default_factory=dict)

    def outlasting(
        self, problems: Mapping[str, Problem | None], now: float
    ) -> tuple[dict[str, Problem | None], float | None]:
        """The problems, without those that are too new, and the seconds until the next of these counts."""
        shown, waits, since = dict(problems), [], {}
        for place, problem in problems.items():
            ordinary = 0.0 if problem is None or problem.fatal else ORDINARY_SECONDS.get(problem.reason, 0.0)
            if problem is None or not ordinary:
                continue
            before = self._since.get(place)
            if before is None or before[0] is not problem.reason:
                before = (problem.reason, now - ordinary if problem.reason.value in self.known else now)
            since[place] = before
            if (left := ordinary - (now - before[1])) > 0:
                shown[place] = None
                waits.append(left)
        self._since, self.known = since, frozenset()
        return shown, min(waits, default=None)
