"""The exact McNemar test, against scipy and against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from imageclassifier_gateway.verify.mcnemar import fewest_discordant, p_value, smallest_shown

COUNTS = st.integers(0, 3000)
LEVELS = st.integers(1, 20)


@settings(max_examples=200, deadline=None)
@given(COUNTS, COUNTS)
def test_the_p_value_is_that_of_scipys_binomial_test(only_serving: int, only_candidate: int) -> None:
    trials = only_serving + only_candidate
    expected = binomtest(only_serving, trials, 0.5, alternative="greater").pvalue if trials else 1.0
    assert p_value(only_serving, only_candidate) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@settings(max_examples=200, deadline=None)
@given(COUNTS, LEVELS)
def test_the_smallest_loss_shown_is_the_first_with_a_p_value_within_the_level(
    discordant: int, percent: int
) -> None:
    least = smallest_shown(discordant, percent)
    if least is None:
        assert p_value(discordant, 0) > percent / 100
    else:
        assert p_value(least, discordant - least) <= percent / 100
        assert p_value(least - 1, discordant - least + 1) > percent / 100


@given(LEVELS)
def test_fewer_discordant_pictures_than_the_fewest_show_nothing(percent: int) -> None:
    fewest = fewest_discordant(percent)
    assert smallest_shown(fewest, percent) == fewest
    assert smallest_shown(fewest - 1, percent) is None


def test_ten_thousand_differing_pictures_cause_no_overflow() -> None:
    assert p_value(10_000, 0) == 0.0  # 2**-10000, below what a float can be
    assert p_value(0, 10_000) == 1.0
    assert p_value(5_100, 4_900) == pytest.approx(binom.sf(5_099, 10_000, 0.5), rel=1e-9)
    assert smallest_shown(10_000, 5) == int(binom.isf(0.05, 10_000, 0.5)) + 1


def test_equal_versions_are_refused_no_more_often_than_the_significance_level() -> None:
    """Exact, not simulated: the sum over all splits that are refused."""
    for discordant in range(400):
        least = smallest_shown(discordant, 5)
        refused = 0.0 if least is None else float(binom.sf(least - 1, discordant, 0.5))
        assert refused <= 0.05 * (1 + 1e-12)


def test_a_candidate_that_is_three_points_worse_is_shown_so_on_two_thousand_pictures() -> None:
    """97 against 94 % right, with independent errors: refused in far more than 90 % of the data sets."""
    random = np.random.default_rng(20261128)
    refused = 0
    for _ in range(300):
        serving, candidate = random.random(2000) < 0.97, random.random(2000) < 0.94
        only_serving = int((serving & ~candidate).sum())
        refused += p_value(only_serving, int((candidate & ~serving).sum())) <= 0.05
    assert refused >= 290
