"""The analysis of a shadow: does the candidate agree with the serving version often enough? Pure."""

from dataclasses import dataclass

from imageclassifier_operator.api import Shadow
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem, ShadowReport
from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.sequential import against_at_least, against_at_most, rejects
from imageclassifier_operator.rollout.traffic_comparison import Outcome, configured, percent

REFUSED_WRONGLY = 0.01
"""The probability that a candidate which agrees often enough is ever refused."""
PASSED_WRONGLY = 0.05
"""The probability that a candidate which agrees too rarely ever passes."""


@dataclass(frozen=True)
class Agreement:
    """How often the candidate agreed with the serving version, and how often it must."""

    version: int
    figures: ShadowReport
    rules: Shadow

    @property
    def outcome(self) -> Outcome:
        """Worse: agrees too rarely. Passed: agrees often enough. Otherwise inconclusive."""
        if self.problem is not None:
            return Outcome.WORSE
        return Outcome.PASSED if self._passed else Outcome.INCONCLUSIVE

    @property
    def problem(self) -> Problem | None:
        """The candidate is shown to agree more rarely than `minAgreementRate`."""
        bound = self._most_differences
        if bound is None or not rejects(against_at_most(self._differences, bound), REFUSED_WRONGLY):
            return None
        most = ""
        if self.figures.confusion:
            serving_class, candidate_class, _ = self.figures.confusion[0]
            most = f" The most frequent difference is {candidate_class} instead of {serving_class}."
        return Problem(Reason.DISAGREES, f"{self._counted} {self._required}{most}")

    @property
    def message(self) -> str:
        """The outcome in words."""
        if self.outcome is not Outcome.INCONCLUSIVE:
            return self.problem.message if self.problem is not None else self._counted
        if self.figures.compared < self.rules.min_compared:
            return f"{self._counted} spec.rollout.shadow.minCompared requires {self.rules.min_compared:,}."
        return f"{self._counted} {self._required} More requests are needed to show whether it does."

    @property
    def _counted(self) -> str:
        seen = self.figures
        return (
            f"Version {self.version} agreed with the serving version on {seen.agreed:,} of {seen.compared:,} "
            f"requests ({percent(1 - self._differences.rate)})."
        )

    @property
    def _required(self) -> str:
        required = configured(self.rules.min_agreement_rate or 0)
        return f"spec.rollout.shadow.minAgreementRate requires {required}."

    @property
    def _differences(self) -> Counts:
        return Counts(self.figures.compared, self.figures.compared - self.figures.agreed)

    @property
    def _most_differences(self) -> float | None:
        least = self.rules.min_agreement_rate
        return None if least is None else round(1 - least, 9)

    @property
    def _passed(self) -> bool:
        """All must agree: that cannot be shown, so it is enough that all did."""
        if self.figures.compared < self.rules.min_compared:
            return False
        differences, bound = self._differences, self._most_differences
        if bound is None or bound >= 1 or (bound <= 0 and not differences.events):
            return True
        return rejects(against_at_least(differences, bound), PASSED_WRONGLY)
