"""The comparison of a canary's traffic: is the version under analysis worse than the serving one? Pure.

A version is worse when two hypotheses are rejected: that its failures exceed the serving version's by the
limit at most, and that they do not exceed them at all. The first gives the limit `errorRateIncrease` its
meaning, the second keeps equal versions from being rolled back: `FALSE_ROLLBACKS` bounds them over all steps,
Settle, errors and latency together. A version has passed when the hypothesis is rejected that its failures
exceed the serving version's by the limit or more. `sequential` has the tests, which may be repeated at will.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imageclassifier_operator.api import RolloutSettings
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.sequential import (
    against_at_most,
    against_not_above,
    against_not_below,
    rejects,
)

FALSE_ROLLBACKS = 0.01
"""The largest share of rollouts of equal versions that end with a rollback because of figures."""
LIMIT_ERROR = 0.05
"""The probability of the error that a difference is taken to be beyond the limit, or within it."""
SLOW_SHARE = 0.01
"""A 99th percentile is above a time when more than this share of requests takes longer."""


class Outcome(StrEnum):
    """The outcome of an analysis, as `status.analysis.outcome` shows it."""

    PASSED = "Passed"
    WORSE = "Worse"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True)
class Comparison:
    """The figures of a version in its window, those of the serving version, and the rules to compare them."""

    version: int
    figures: Window
    serving_version: int
    reference: Reference
    rules: RolloutSettings

    @property
    def outcome(self) -> Outcome:
        """What the counts show so far."""
        if self.problem is not None:
            return Outcome.WORSE
        return Outcome.PASSED if self._passed(self._failures, self._others) else Outcome.INCONCLUSIVE

    @property
    def problem(self) -> Problem | None:
        """Why the version is worse than the serving version; None if that is not shown."""
        return self._too_many_errors() or self._too_slow()

    @property
    def message(self) -> str:
        """The outcome in words: the figures, and what they show."""
        if (problem := self.problem) is not None:
            return problem.message
        failures, others, limit = (
            self._failures,
            self._others,
            configured(self.rules.limits.error_rate_increase),
        )
        compared = (
            f"Version {self.version} failed {self.figures.errors:,} of {self.figures.requests:,} requests "
            f"({percent(failures.rate)}), version {self.serving_version} {percent(others.rate)} of "
            f"{others.trials:,.0f}{'' if self.reference.concurrent else ' before'}."
        )
        if self.outcome is Outcome.PASSED:
            if self.rules.limits.error_rate_increase <= 0:
                return f"{compared} Nothing shows that it fails more often."
            return f"{compared} It fails at most {limit} more, with {percent(1 - LIMIT_ERROR)} confidence."
        needed = self.requests_needed()
        if needed is None:
            return f"{compared} At these rates more requests will hardly show whether it keeps to the limit."
        return f"{compared} About {rounded(needed)} more requests are needed to show that it is not worse."

    def requests_needed(self) -> int | None:
        """About how many more requests the version needs to pass, if it goes on like this.

        None if it is not going to pass.
        """
        failures, others = self._failures, self._others
        expected = (failures.events + _EXPECTED * others.rate) / (failures.trials + _EXPECTED)
        growth = others.trials / failures.trials if self.reference.concurrent and failures.trials else 0.0

        def passes(more: int) -> bool:
            return self._passed(
                failures + Counts(more, more * expected),
                others + Counts(more * growth, more * growth * others.rate),
            )

        fails, more = 0, 16
        while not passes(more):
            fails, more = more, 2 * more
            if more > _MOST_NEEDED:
                return None
        for _ in range(4):
            middle = (fails + more) // 2
            fails, more = (fails, middle) if passes(middle) else (middle, more)
        return more

    @property
    def _failures(self) -> Counts:
        return self.figures.failures

    @property
    def _others(self) -> Counts:
        return self.reference.failures

    @property
    def _alpha(self) -> float:
        """Each test's part of `FALSE_ROLLBACKS`: of errors, and of latency, in each step and in Settle."""
        tests = 1 if self.rules.limits.p99_milliseconds is None else 2
        return FALSE_ROLLBACKS / (tests * (len(self.rules.steps) + 1))

    def _passed(self, failures: Counts, others: Counts) -> bool:
        """A limit of 0 cannot be shown to be kept: then it is enough that nothing speaks against it."""
        margin = self.rules.limits.error_rate_increase
        if failures.trials < self.rules.min_requests:
            return False
        return not 0 < margin < 1 or rejects(against_not_below(failures, others, margin), LIMIT_ERROR)

    def _too_many_errors(self) -> Problem | None:
        limit, failures, others = self.rules.limits.error_rate_increase, self._failures, self._others
        beyond = rejects(against_not_above(failures, others, limit), LIMIT_ERROR)
        if not beyond or not rejects(against_not_above(failures, others, 0.0), self._alpha):
            return None
        return Problem(
            Reason.TOO_MANY_ERRORS,
            f"Version {self.version} failed {self.figures.errors:,} of {self.figures.requests:,} requests "
            f"({percent(failures.rate)}), version {self.serving_version} {percent(others.rate)} of "
            f"{others.trials:,.0f}. "
            f"spec.rollout.limits.errorRateIncrease allows {configured(limit)} more than the serving "
            "version.",
        )

    def _too_slow(self) -> Problem | None:
        limit = self.rules.limits.p99_milliseconds
        if limit is None:
            return None
        slow, others = self.figures.slower_than(limit), self.reference.slower_than(limit)
        beyond = rejects(against_at_most(slow, SLOW_SHARE), LIMIT_ERROR)
        if not beyond or not rejects(against_not_above(slow, others, 0.0), self._alpha):
            return None
        return Problem(
            Reason.TOO_SLOW,
            f"Version {self.version} has a 99th percentile latency of about "
            f"{self.figures.p99_milliseconds or 0:.0f} ms over {slow.trials:,.0f} requests: "
            f"{percent(slow.rate)} of them were too slow, of version {self.serving_version} "
            f"{percent(others.rate)}. spec.rollout.limits.p99Milliseconds allows {limit} ms.",
        )


_EXPECTED = 50
"""How many requests at the serving version's rate the forecast adds to the version's own."""
_MOST_NEEDED = 1_000_000


def rounded(number: int) -> str:
    """A number to two digits: a forecast is not more exact."""
    size = 10 ** max(0, len(str(number)) - 2)
    return f"{(number + size - 1) // size * size:,}"


def percent(share: float) -> str:
    """A share as people read it: 0.13 %, 2.5 %, 31 %."""
    value = 100 * share
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    return f"{float(f'{value:.{digits}f}'):g} %"


def configured(share: float) -> str:
    """A share that the user has set, which is not rounded: 0.125 %, 99.5 %."""
    return f"{100 * share:g} %"
