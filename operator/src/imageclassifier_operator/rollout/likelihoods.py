"""Binomial likelihoods of counted failures and mixtures of them, for the sequential tests. Pure.

All likelihoods and mixtures are natural logarithms, and leave out the binomial coefficient, which cancels out
of each ratio. `sequential` makes the tests of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import exp, inf, lgamma, log, log1p


@dataclass(frozen=True)
class Counts:
    """`events` of `trials` are failures. The numbers need not be whole: see `discounted`."""

    trials: float = 0
    events: float = 0

    @property
    def rate(self) -> float:
        """The share of failures, 0 to 1; 0 without a trial."""
        return self.events / self.trials if self.trials else 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.trials + other.trials, self.events + other.events)

    def discounted(self, most_trials: float) -> Counts:
        """The counts, scaled down to `most_trials` trials if there are more.

        This raises a likelihood to a power below 1, which keeps all tests valid (Jensen's inequality).
        Without it, old figures would outweigh what a version does now.
        """
        share = min(1.0, most_trials / self.trials) if self.trials else 1.0
        return Counts(self.trials * share, self.events * share)


# -- the candidate: mixtures of alternatives on a grid ---------------------------------------------------


def _log_add(a: float, b: float) -> float:
    """ln(exp(a) + exp(b)), without overflow."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == -inf else high + log1p(exp(low - high))


_STEP = 0.25
_LOGITS = [-9.25 + _STEP * i for i in range(66)]
RATES = [1 / (1 + exp(-logit)) for logit in _LOGITS]
"""The alternatives: failure rates from 0.01 % to 99.9 %, a quarter apart in log-odds."""
_LOGS = [(log(rate), log1p(-rate)) for rate in RATES]
_DECAY = 1.5
"""The distance in log-odds over which the weight of an alternative falls by a factor e. A worse version
usually fails 2 to 10 times as often.
"""
_WEIGHTS = [-_STEP * i / _DECAY for i in range(len(RATES))]
_WEIGHTS_FROM = list(accumulate(reversed(_WEIGHTS), _log_add))[::-1]
_WEIGHTS_TO = list(accumulate((-weight for weight in _WEIGHTS), _log_add, initial=0.0))
HALVINGS = 60
"""How often bisection halves an interval of rates: until its ends are the same number."""


def log_likelihood(counts: Counts, rate: float) -> float:
    """The likelihood of a failure rate, bad * ln(rate) + good * ln(1 - rate); -inf if it is impossible."""
    good, bad = counts.trials - counts.events, counts.events
    if (bad > 0 and rate <= 0) or (good > 0 and rate >= 1):
        return -inf
    return (bad * log(rate) if bad > 0 else 0.0) + (good * log1p(-rate) if good > 0 else 0.0)


def mixtures_from(counts: Counts) -> list[float]:
    """For each of `RATES`, the mixed likelihood of it and of all rates above it.

    The weights of each mixture fall from its lowest rate, and sum to 1.
    """
    terms = [weight + likelihood for weight, likelihood in zip(_WEIGHTS, _likelihoods(counts), strict=True)]
    sums = list(accumulate(reversed(terms), _log_add))[::-1]
    return [each - weight for each, weight in zip(sums, _WEIGHTS_FROM, strict=True)]


def mixtures_to(counts: Counts) -> list[float]:
    """For 0 and for each of `RATES`, the mixed likelihood of it, of all rates below it, and of the rate 0.

    The weights of each mixture fall from its highest rate, and sum to 1. The result has one value more than
    `RATES`.
    """
    terms = [likelihood - weight for weight, likelihood in zip(_WEIGHTS, _likelihoods(counts), strict=True)]
    never = -inf if counts.events > 0 else 0.0
    sums = accumulate(terms, _log_add, initial=never)
    return [each - weight for each, weight in zip(sums, _WEIGHTS_TO, strict=True)]


def _likelihoods(counts: Counts) -> list[float]:
    good, bad = counts.trials - counts.events, counts.events
    return [bad * of_bad + good * of_good for of_bad, of_good in _LOGS]


# -- the serving version: the rate that nobody knows ------------------------------------------------------

_PRIOR = (0.1, 1.0)
"""The parameters of the beta distribution that weights the rates of the serving version, low ones most."""
ASSUMED_TRIALS = 20
"""A serving version with fewer requests counts as if it had answered the rest without a failure. Otherwise
nothing could be shown against its successor while it has no figures.
"""


def log_beta_mixture(counts: Counts) -> float:
    """The likelihood of all rates, mixed with the weights of `_PRIOR`: ln(B(a + bad, b + good) / B(a, b))."""
    a, b = _PRIOR
    good, bad = counts.trials - counts.events, counts.events
    return _log_beta(a + bad, b + good) - _log_beta(a, b)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


class Nuisance:
    """The evidence against a pair of rates: p of the serving version, and p + margin of the candidate.

    The mixture of the candidate is not in it. As a function of p, the evidence is

        h(p) = ln(1/2 + 1/2 * mixture / likelihood of p) - ln(likelihood of p + margin for the candidate)

    Nobody knows p, so a test takes the p that has the least evidence against it. h is convex: each likelihood
    is log-concave, and the logarithm of a sum of exponentials of convex functions is convex. So the lowest
    value in an interval is at the one minimum of h or, if that lies outside, at the end that is nearer to it.
    """

    def __init__(self, candidate: Counts, serving: Counts, margin: float) -> None:
        self._candidate, self._serving, self._margin = candidate, serving, margin
        self._mixture = log_beta_mixture(serving)
        self._assumed = max(0.0, ASSUMED_TRIALS - serving.trials)
        self._best = self._minimum()

    def lowest_between(self, low: float, high: float) -> float:
        """The lowest value of h for p from `low` to `high`. Both are limited to the possible rates."""
        return self._value(min(max(self._best, low, 0.0), max(high, 0.0), 1.0 - self._margin))

    def without_candidate(self, low: float) -> float:
        """The lowest value for p at or above `low` when the candidate has no figures."""
        return self._of_serving(max(low, self._serving.rate))

    def _value(self, rate: float) -> float:
        of_candidate = log_likelihood(self._candidate, rate + self._margin)
        return inf if of_candidate == -inf else self._of_serving(rate) - of_candidate

    def _of_serving(self, rate: float) -> float:
        assumed = -self._assumed * log1p(-rate) if self._assumed and rate < 1 else 0.0
        likelihood = log_likelihood(self._serving, rate)
        if likelihood == -inf:
            return inf
        return assumed + _log_add(0.0, self._mixture - likelihood) - log(2)

    def _slope(self, rate: float) -> float:
        """The derivative of h at `rate`, for 0 < rate < 1 - margin."""
        serving, candidate, moved = self._serving, self._candidate, rate + self._margin
        if moved >= 1:  # by rounding
            return inf
        ratio = self._mixture - log_likelihood(serving, rate)
        staked = 1 / (1 + exp(min(700.0, -ratio)))
        of_serving = serving.events / rate - (serving.trials - serving.events) / (1 - rate)
        of_candidate = candidate.events / moved - (candidate.trials - candidate.events) / (1 - moved)
        return self._assumed / (1 - rate) - staked * of_serving - of_candidate

    def _minimum(self) -> float:
        """The rate at which h is lowest, by bisection of its slope."""
        low, high = 0.0, 1.0 - self._margin
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if not low < middle < high or self._slope(middle) >= 0:
                high = middle
            else:
                low = middle
        return (low + high) / 2
