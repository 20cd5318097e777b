"""The sequential tests keep their promised error rate under any number of looks."""

import random
from collections.abc import Callable
from math import comb, exp, inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.sequential import (
    against_at_least,
    against_at_most,
    against_not_above,
    against_not_below,
    rejects,
    upper_bound,
)

TestOfOne = Callable[[Counts, float], float]
TestOfTwo = Callable[[Counts, Counts, float], float]


@st.composite
def counts(draw: st.DrawFn, most: int = 2000, least: int = 0) -> Counts:
    trials = draw(st.integers(least, most))
    return Counts(trials, draw(st.integers(0, trials)))


margins = st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5, 1.0])


def drawn(chance: random.Random, trials: int, rate: float) -> Counts:
    return Counts(trials, sum(chance.random() < rate for _ in range(trials)))


# -- validity --------------------------------------------------------------------------------------------


def share_ever_rejected(candidate_rate: float, serving_rate: float, margin: float) -> float:
    """The share of 100 histories in which one look of 100 finds the candidate above the margin (5 %)."""
    rejected = 0
    for seed in range(100):
        chance = random.Random(seed)
        candidate, serving = Counts(), drawn(chance, 20, serving_rate)
        for _ in range(100):
            candidate += drawn(chance, 2, candidate_rate)
            serving += drawn(chance, 8, serving_rate)
            if rejects(against_not_above(candidate, serving, margin), 0.05):
                rejected += 1
                break
    return rejected / 100


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_repeated_looks_keep_the_promised_false_positive_rate(
    rate: float,
) -> None:
    assert share_ever_rejected(rate, rate, 0.0) <= 0.05


def test_a_candidate_just_at_the_margin_is_found_above_it_as_seldom_as_promised() -> None:
    assert share_ever_rejected(0.15, 0.05, 0.1) <= 0.05


def test_a_candidate_far_above_the_margin_is_nearly_always_found() -> None:
    assert share_ever_rejected(0.3, 0.05, 0.05) >= 0.99


def test_a_fixed_threshold_on_the_difference_would_be_wrong_far_more_often() -> None:
    """The test above can fail: the operator's earlier method, applied each second, fails it."""
    wrong = 0
    for seed in range(100):
        chance = random.Random(seed)
        candidate, serving = Counts(), Counts()
        for _ in range(100):
            candidate += drawn(chance, 2, 0.02)
            serving += drawn(chance, 18, 0.02)
            if candidate.trials >= 50 and candidate.rate > serving.rate + 0.01:
                wrong += 1
                break
    assert wrong > 0.4 * 100


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("margin", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("test", [against_not_above, against_not_below])
def test_an_e_process_for_two_rates_is_expected_to_be_at_most_one(
    test: TestOfTwo, rate: float, margin: float
) -> None:
    """Summed exactly over all outcomes, at the edge of the hypothesis, where the expectation is largest."""
    expected = sum(
        probability(10, worse, rate + margin)
        * probability(30, bad, rate)
        * exp(test(Counts(10, worse), Counts(30, bad), margin))
        for bad in range(31)
        for worse in range(11)
    )
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("test", [against_at_most, against_at_least])
def test_an_e_process_for_one_rate_is_expected_to_be_at_most_one(test: TestOfOne, rate: float) -> None:
    expected = sum(probability(30, bad, rate) * exp(test(Counts(30, bad), rate)) for bad in range(31))
    assert expected <= 1 + 1e-9


def test_old_counts_that_are_discounted_keep_the_expectation_at_most_one() -> None:
    expected = sum(
        probability(10, worse, 0.05)
        * probability(60, bad, 0.05)
        * exp(against_not_above(Counts(10, worse), Counts(60, bad).discounted(30), 0.0))
        for bad in range(61)
        for worse in range(11)
    )
    assert expected <= 1 + 1e-9


@pytest.mark.parametrize("rate", [0.001, 0.02, 0.3])
def test_a_rate_is_above_its_upper_bound_at_some_moment_as_seldom_as_promised(rate: float) -> None:
    above = 0
    for seed in range(100):
        chance, seen = random.Random(seed), Counts()
        for _ in range(100):
            seen += drawn(chance, 5, rate)
            if upper_bound(seen, 0.05) < rate:
                above += 1
                break
    assert above / 100 <= 0.05


def probability(trials: int, events: int, rate: float) -> float:
    return comb(trials, events) * rate**events * (1 - rate) ** (trials - events)


# -- sense -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(candidate=counts(), serving=counts(), margin=margins)
def test_one_more_failure_of_the_candidate_never_speaks_for_it(
    candidate: Counts, serving: Counts, margin: float
) -> None:
    if candidate.events == candidate.trials:
        return
    failed = Counts(candidate.trials, candidate.events + 1)
    assert against_not_above(failed, serving, margin) >= against_not_above(candidate, serving, margin) - 1e-6
    assert against_not_below(failed, serving, margin) <= against_not_below(candidate, serving, margin) + 1e-6
    assert upper_bound(failed) >= upper_bound(candidate) - 1e-9


@settings(deadline=None)
@given(candidate=counts(), serving=counts(least=20), margin=margins)
def test_no_counts_speak_both_ways(candidate: Counts, serving: Counts, margin: float) -> None:
    above = against_not_above(candidate, serving, margin)
    assert above <= 0 or against_not_below(candidate, serving, margin) <= 0


@settings(deadline=None)
@given(candidate=counts(), serving=counts(least=20), margin=margins)
def test_to_know_the_serving_rate_only_from_counts_never_adds_evidence(
    candidate: Counts, serving: Counts, margin: float
) -> None:
    known = against_at_most(candidate, min(1.0, serving.rate + margin))
    assert against_not_above(candidate, serving, margin) <= max(known, 0.0) + 1e-6


@given(seen=counts())
def test_the_upper_bound_is_above_the_rate_seen(seen: Counts) -> None:
    assert seen.rate <= upper_bound(seen) <= 1


def test_nothing_is_known_without_requests() -> None:
    assert against_not_above(Counts(), Counts(), 0.01) == -inf
    assert not rejects(against_not_below(Counts(), Counts(1000, 0), 0.01), 0.05)
    assert upper_bound(Counts()) == 1


def test_a_bound_of_nothing_is_exceeded_by_a_single_failure() -> None:
    assert against_at_most(Counts(1000, 1), 0.0) == inf
    assert against_at_most(Counts(1000, 0), 0.0) == -inf
    assert against_at_least(Counts(1000, 999), 1.0) == inf


def test_a_version_that_fails_everything_is_found_though_its_predecessor_has_no_figures() -> None:
    assert rejects(against_not_above(Counts(10, 10), Counts(), 0.01), 0.0025)
    assert not rejects(against_not_above(Counts(2, 2), Counts(), 0.01), 0.0025)


def test_two_versions_that_both_fail_everything_are_equal() -> None:
    assert not rejects(against_not_above(Counts(500, 500), Counts(500, 500), 0.0), 0.05)


@pytest.mark.parametrize(("rate", "wald"), [(0.03, 370), (0.05, 111), (0.10, 31)])
def test_the_requests_needed_stay_within_twice_those_of_a_test_that_knows_the_rates(
    rate: float, wald: int
) -> None:
    needed = []
    for seed in range(60):
        chance = random.Random(seed)
        candidate, serving = Counts(), Counts()
        while not (
            rejects(against_not_above(candidate, serving, 0.01), 0.05)
            and rejects(against_not_above(candidate, serving, 0.0), 0.0025)
        ):
            candidate += drawn(chance, 2, rate)
            serving += drawn(chance, 18, 0.001)
        needed.append(candidate.trials)
    assert sum(needed) / len(needed) <= 2 * wald
