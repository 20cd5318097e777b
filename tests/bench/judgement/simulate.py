"""Simulated rollouts: two versions that fail with fixed probabilities, and the operator's `decide`.

There are 20 requests each second. Each goes to the candidate with the probability of its share. `vectorised`
screens all histories: whenever a step may be complete or a version may be worse, `decide` gets the counts of
that moment, and the history follows its decision. `decide` also gets a sample of the other moments.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log

import numpy as np
import vectorised
from numpy.typing import NDArray
from vectorised import Array

from imageclassifier_operator.api import ImageSource, ModelVersion, RolloutSettings, ServingSettings, Step
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Counters,
    GatewayReport,
    GatewaySnapshot,
    Snapshot,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Goal, decide
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.rollout.traffic_comparison import FALSE_ROLLBACKS, LIMIT_ERROR

REQUESTS_PER_SECOND = 20
SECONDS_BEFORE = 1800
"""How long the serving version had served before the rollout."""
SECONDS_VERIFYING = 20
MOST_SECONDS = 3600
"""A step that is still inconclusive then is not followed any further."""
SAMPLED = 0.0005
"""The share of screened-out moments that `decide` gets nevertheless."""
SLACK = 1e-6
NOW = 1e9


@dataclass(frozen=True)
class Plan:
    name: str
    steps: tuple[Step, ...]

    @property
    def rules(self) -> RolloutSettings:
        return RolloutSettings(steps=self.steps)


@dataclass
class Cell:
    """How the rollouts of one pair of versions ended."""

    histories: int
    rolled_back_in_steps: int = 0
    rolled_back_in_settle: int = 0
    promoted: int = 0
    requests: list[int] = field(default_factory=list)
    """Of the candidate, until it was rolled back."""

    @property
    def rolled_back(self) -> int:
        return self.rolled_back_in_steps + self.rolled_back_in_settle

    @property
    def waiting(self) -> int:
        return self.histories - self.promoted - self.rolled_back


def version(number: int) -> ModelVersion:
    return ModelVersion(number, "pizza", ImageSource(f"pizza:{number}"), ServingSettings(), None, "tf")


SERVING, CANDIDATE = version(1), version(2)
UP = {v.version: VersionSnapshot(v.input_hash, True, 1) for v in (SERVING, CANDIDATE)}


def events(state: State, rules: RolloutSettings, now: float, candidate: Window, serving: Window) -> list[str]:
    """The transitions that `decide` takes on these counts."""
    counts = {
        1: Counters(serving.requests, serving.errors, {}),
        2: Counters(candidate.requests, candidate.errors, {}),
    }
    reports = {number: VersionReport(True, counters) for number, counters in counts.items()}
    gateway = GatewaySnapshot("gateway", True, GatewayReport("g", state.revision, reports))
    snapshot = Snapshot(versions=UP, gateways=(gateway,), acknowledged_seconds=60.0)
    taken = decide(Goal(CANDIDATE, "a", rules), state, snapshot, now).taken
    assert all(each.cause is None or each.cause.reason is Reason.TOO_MANY_ERRORS for each in taken)
    return [each.name for each in taken]


class Rollouts:
    """All histories of one cell, second by second."""

    def __init__(self, plan: Plan, serving_rate: float, candidate_rate: float, histories: int, seed: int):
        self.plan, self.rules = plan, plan.rules
        self.rates = serving_rate, candidate_rate
        self.chance = np.random.default_rng(seed)
        self.cell = Cell(histories)
        self.alpha = FALSE_ROLLBACKS / (len(plan.steps) + 1)
        self.counts = np.zeros((4, histories))  # n, x of the candidate; m, y of the serving version
        self.requests = np.zeros(histories)
        self.references = self._verified(histories)

    def _verified(self, histories: int) -> list[Reference]:
        recent = REQUESTS_PER_SECOND * SECONDS_VERIFYING
        errors = self.chance.binomial(recent, self.rates[0], histories)
        return [Reference(recent=Window(recent, int(each))) for each in errors]

    def run(self) -> Cell:
        alive = np.arange(self.cell.histories)
        for step in self.plan.steps:
            alive = self._shift(alive, step)
        self._settle(alive)
        return self.cell

    def _shift(self, alive: NDArray[np.intp], step: Step) -> np.ndarray:
        """The histories that completed the step. Counts start at 0, because each step has its own window."""
        self.counts[:] = 0
        state = State(1, Phase.SHIFT, NOW, SERVING, CANDIDATE, attempt="a", percent=step.percent)
        completed = []
        for second in range(1, MOST_SECONDS + 1):
            self._requests(alive, step.percent / 100)
            n, x, m, y = self.counts[:, alive]
            asked = self._may_be_worse(n, x, m, y)
            # Later every 10 seconds is enough: a step that ends some seconds late is rolled back no less.
            if second >= step.duration_seconds and (second <= 600 or second % 10 == 0):
                asked |= self._may_have_passed(n, x, m, y)
            asked |= self.chance.random(len(alive)) < SAMPLED
            gone = set()
            for which in alive[asked]:
                windows = self._windows(which)
                taken = events(state, self.rules, NOW + second, *windows)
                if "RolledBack" in taken:
                    self.cell.rolled_back_in_steps += 1
                    self.cell.requests.append(int(self.requests[which]))
                elif taken:
                    self.references[which] = self.references[which].with_recent(windows[1])
                    completed.append(which)
                else:
                    continue
                gone.add(which)
            if gone:
                alive = np.array([which for which in alive if which not in gone], dtype=int)
            if not len(alive):
                break
        return np.array(sorted(completed), dtype=int)

    def _settle(self, alive: NDArray[np.intp]) -> None:
        before = REQUESTS_PER_SECOND * SECONDS_BEFORE
        for which in alive:
            older = Window(before, int(self.chance.binomial(before, self.rates[0])))
            self.references[which] = self.references[which].with_older(older + self.references[which].recent)
        pooled = [self.references[which].failures for which in alive]
        self.counts[:] = 0
        self.counts[2, alive] = [each.trials for each in pooled]
        self.counts[3, alive] = [each.events for each in pooled]
        for second in range(1, self.rules.keep_previous_seconds):
            self._requests(alive, 1.0)
            asked = self._may_be_worse(*self.counts[:, alive])
            asked |= self.chance.random(len(alive)) < SAMPLED
            gone = set()
            for which in alive[asked]:
                state = State(
                    1, Phase.SETTLE, NOW, CANDIDATE, attempt="a", previous=SERVING,
                    reference=self.references[which],
                )  # fmt: skip
                candidate, _ = self._windows(which)
                if "RolledBack" in events(state, self.rules, NOW + second, candidate, Window()):
                    self.cell.rolled_back_in_settle += 1
                    self.cell.requests.append(int(self.requests[which]))
                    gone.add(which)
            if gone:
                alive = np.array([which for which in alive if which not in gone], dtype=int)
        self.cell.promoted = len(alive)

    def _requests(self, alive: NDArray[np.intp], share: float) -> None:
        ours = self.chance.binomial(REQUESTS_PER_SECOND, share, len(alive))
        theirs = REQUESTS_PER_SECOND - ours
        self.counts[0, alive] += ours
        self.counts[1, alive] += self.chance.binomial(ours, self.rates[1])
        self.counts[2, alive] += theirs
        self.counts[3, alive] += self.chance.binomial(theirs, self.rates[0])
        self.requests[alive] += ours

    def _windows(self, which: int) -> tuple[Window, Window]:
        n, x, m, y = (int(count) for count in self.counts[:, which])
        return Window(n, x), Window(m, y)

    def _may_be_worse(self, n: Array, x: Array, m: Array, y: Array) -> NDArray[np.bool_]:
        margin, other = self.rules.limits.error_rate_increase, y / np.maximum(m, 1)
        found: NDArray[np.bool_] = x / np.maximum(n, 1) > other + margin
        for bound, alpha in ((margin, LIMIT_ERROR), (0.0, self.alpha)):
            left = np.flatnonzero(found)
            few = m[left] < 20  # then something is assumed of the serving version
            enough = vectorised.divergence(n[left], x[left], other[left] + bound) >= -log(alpha)
            found[left] = few | enough
            left = np.flatnonzero(found)
            if not len(left):
                break
            pairs = vectorised.Pairs(n[left], x[left], m[left], y[left], bound)
            found[left] = vectorised.against_not_above(pairs) >= -log(alpha) - SLACK
        return found

    def _may_have_passed(self, n: Array, x: Array, m: Array, y: Array) -> NDArray[np.bool_]:
        margin, other = self.rules.limits.error_rate_increase, y / np.maximum(m, 1)
        found: NDArray[np.bool_] = (x / np.maximum(n, 1) < other + margin) & (n >= self.rules.min_requests)
        left = np.flatnonzero(found)
        found[left] = vectorised.divergence(n[left], x[left], other[left] + margin) >= -log(LIMIT_ERROR)
        left = np.flatnonzero(found)
        if not len(left):
            return found
        pairs = vectorised.Pairs(n[left], x[left], m[left], y[left], margin)
        found[left] = vectorised.against_not_below(pairs) >= -log(LIMIT_ERROR) - SLACK
        return found


def plans() -> Iterable[Plan]:
    yield Plan("10 % for 300 s", (Step(10, 300),))
    yield Plan("10 % and 50 % for 60 s each", (Step(10, 60), Step(50, 60)))
    yield Plan("all at once", ())
