"""Sequential tests of failure rates: valid at whatever moment, and however often, somebody looks.

Each function returns the evidence against the hypothesis in its name: the natural logarithm of an e-process.
An e-process starts at 1, and under its hypothesis its expectation is at most 1 whenever one stops. So it ever
reaches 1 / alpha with probability alpha at most (Ville's inequality): `rejects(evidence, alpha)` may be asked
each second for a year. Evidence is a function of the counts alone: nothing is remembered between looks.
Counts that lean towards the hypothesis give none (minus infinity), without further calculation.

One rate against a bound: a mixture of likelihood ratios of alternatives beyond the bound (Wald 1945, Annals
of Mathematical Statistics 16; mixtures: Robbins 1970, the same, 41). The ratios are monotone in the rate, so
one mixture is a supermartingale for every rate on the hypothesis' side.

Two rates, the serving version's rate p being unknown: for each p, that mixture for the candidate times a bet
against p on the serving version's counts. The product at the true p is a supermartingale, and the minimum
over all p is never above it (Ramdas, Gruenwald, Vovk, Shafer 2023, "Game-theoretic statistics and safe
anytime-valid inference", Statistical Science 38). The bet keeps one half and stakes the other on a beta
mixture, so while p is right it costs a factor of 2 at most. The prior of the mixture favours small rates:
serving versions have small ones.
"""

from bisect import bisect_left
from functools import lru_cache
from math import inf, log

from imageclassifier_operator.rollout.likelihoods import (
    HALVINGS,
    RATES,
    Counts,
    Nuisance,
    log_beta_mixture,
    log_likelihood,
    mixtures_from,
    mixtures_to,
)


def rejects(evidence: float, alpha: float) -> bool:
    """True when the hypothesis is rejected with a probability of error of `alpha` at most."""
    return evidence >= -log(alpha)


def against_at_most(counts: Counts, bound: float) -> float:
    """Evidence against: the rate is at most `bound`."""
    if counts.rate <= bound:
        return -inf
    if bound <= 0:
        return inf
    first = bisect_left(RATES, bound)
    mixture = mixtures_from(counts)[first] if first < len(RATES) else -inf
    return mixture - log_likelihood(counts, bound)


def against_at_least(counts: Counts, bound: float) -> float:
    """Evidence against: the rate is at least `bound`."""
    if counts.rate >= bound:
        return -inf
    if bound >= 1:
        return inf
    return mixtures_to(counts)[bisect_left(RATES, bound)] - log_likelihood(counts, bound)


@lru_cache(maxsize=1024)
def against_not_above(candidate: Counts, serving: Counts, margin: float) -> float:
    """Evidence against: the candidate's rate is at most the serving version's plus `margin`."""
    if candidate.rate <= serving.rate + margin:
        return -inf
    nuisance = Nuisance(candidate, serving, margin)
    mixtures = mixtures_from(candidate)
    edges = [0.0, *RATES]
    # Beyond the last alternative there is no bet on the candidate at all.
    lowest = nuisance.without_candidate(edges[-1] - margin)
    for mixture, low, high in zip(mixtures, edges, RATES, strict=False):
        if high >= margin:
            lowest = min(lowest, mixture + nuisance.lowest_between(low - margin, high - margin))
    return lowest


@lru_cache(maxsize=1024)
def against_not_below(candidate: Counts, serving: Counts, margin: float) -> float:
    """Evidence against: the candidate's rate is at least the serving version's plus `margin`."""
    if candidate.rate >= serving.rate + margin:
        return -inf
    nuisance = Nuisance(candidate, serving, margin)
    mixtures = mixtures_to(candidate)
    edges = [0.0, *RATES, 1.0]
    lowest = inf
    for mixture, low, high in zip(mixtures, edges, edges[1:], strict=False):
        if high >= margin:
            lowest = min(lowest, mixture + nuisance.lowest_between(low - margin, high - margin))
    return lowest


def upper_bound(counts: Counts, alpha: float = 0.05) -> float:
    """The upper end of a confidence sequence: with probability `alpha` at most is the rate ever above it."""
    least = log_beta_mixture(counts) + log(alpha)  # the log-likelihood of the bound
    low, high = counts.rate, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if log_likelihood(counts, middle) > least:
            low = middle
        else:
            high = middle
    return high
