"""The sequential tests of the operator for many histories at once, with numpy.

This only finds the moments at which an outcome is possible. There the benchmark calls the operator's own
decision function. tests/operator/rollout/test_sequential_vectorised.py checks that both agree.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

from imageclassifier_operator.rollout import likelihoods

Array = np.ndarray[Any, np.dtype[np.float64]]

_RATES = np.array(likelihoods.RATES)
_LOG, _LOG1M = np.log(_RATES), np.log1p(-_RATES)
_WEIGHTS = np.array(likelihoods._WEIGHTS)
_WEIGHTS_FROM, _WEIGHTS_TO = np.array(likelihoods._WEIGHTS_FROM), np.array(likelihoods._WEIGHTS_TO)
_PRIOR = likelihoods._PRIOR
_LEAST = 1e-300
HALVINGS = 32
"""Enough: around its minimum the evidence is flat."""


class Pairs:
    """Counts of candidates (`n`, `x`) and serving versions (`m`, `y`), one entry for each history."""

    def __init__(self, n: Array, x: Array, m: Array, y: Array, margin: float) -> None:
        self.n, self.x, self.m, self.y, self.margin = n, x, m, y, margin
        self.mixture = betaln(_PRIOR[0] + y, _PRIOR[1] + m - y) - betaln(*_PRIOR)
        self.assumed = np.maximum(0.0, likelihoods.ASSUMED_TRIALS - m)
        self.best = self._minimum()

    def of_serving(self, rate: Array) -> Array:
        ratio = self.mixture - _log_likelihood(self.m, self.y, rate)
        evidence: Array = np.logaddexp(0.0, ratio) - np.log(2) - xlog1py(self.assumed, -rate)
        return evidence

    def value(self, rate: Array) -> Array:
        return self.of_serving(rate) - _log_likelihood(self.n, self.x, rate + self.margin)

    def lowest_between(self, low: float, high: float) -> Array:
        least, most = max(low, 0.0), min(max(high, 0.0), 1 - self.margin)
        return self.value(np.minimum(np.maximum(self.best, least), most))

    def _minimum(self) -> Array:
        low, high = np.zeros_like(self.n), np.full_like(self.n, 1 - self.margin)
        for _ in range(HALVINGS):
            rate = (low + high) / 2
            moved = np.minimum(rate + self.margin, 1 - 1e-16)
            ratio = self.mixture - _log_likelihood(self.m, self.y, rate)
            staked = 1 / (1 + np.exp(np.clip(-ratio, -700, 700)))
            left = np.maximum(1 - rate, 1e-16)
            slope = (
                self.assumed / left
                - staked * (self.y / np.maximum(rate, _LEAST) - (self.m - self.y) / left)
                - (self.x / np.maximum(moved, _LEAST) - (self.n - self.x) / (1 - moved))
            )
            low, high = np.where(slope < 0, rate, low), np.where(slope < 0, high, rate)
        return (low + high) / 2


def against_not_above(pairs: Pairs) -> Array:
    terms = _WEIGHTS + pairs.x[:, None] * _LOG + (pairs.n - pairs.x)[:, None] * _LOG1M
    mixtures = np.logaddexp.accumulate(terms[:, ::-1], axis=1)[:, ::-1] - _WEIGHTS_FROM
    edges = [0.0, *_RATES]
    beyond = np.maximum(edges[-1] - pairs.margin, pairs.y / np.maximum(pairs.m, 1e-9))
    lowest = pairs.of_serving(beyond)
    for which, (low, high) in enumerate(pairwise(edges)):
        if high >= pairs.margin:
            between = pairs.lowest_between(low - pairs.margin, high - pairs.margin)
            lowest = np.minimum(lowest, mixtures[:, which] + between)
    return lowest


def against_not_below(pairs: Pairs) -> Array:
    terms = pairs.x[:, None] * _LOG + (pairs.n - pairs.x)[:, None] * _LOG1M - _WEIGHTS
    never = np.where(pairs.x > 0, -np.inf, 0.0)[:, None]
    mixtures = np.logaddexp.accumulate(np.hstack([never, terms]), axis=1) - _WEIGHTS_TO
    edges = [0.0, *_RATES, 1.0]
    lowest = np.full_like(pairs.n, np.inf)
    for which, (low, high) in enumerate(pairwise(edges)):
        if high >= pairs.margin:
            between = pairs.lowest_between(low - pairs.margin, high - pairs.margin)
            lowest = np.minimum(lowest, mixtures[:, which] + between)
    return lowest


def divergence(n: Array, x: Array, bound: Array) -> Array:
    """An upper bound of the evidence of these counts against `bound`: the largest likelihood ratio."""
    rate = x / np.maximum(n, 1)
    return _log_likelihood(n, x, rate) - _log_likelihood(n, x, np.minimum(bound, 1.0))


def _log_likelihood(n: Array, x: Array, rate: Array) -> Array:
    likelihood: Array = xlogy(x, rate) + xlog1py(n - x, -rate)
    return likelihood
