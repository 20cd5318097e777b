"""The bench of the analysis screens histories with numpy; it must find what the operator finds."""

import numpy as np
import pytest
import vectorised

from imageclassifier_operator.rollout.likelihoods import Counts
from imageclassifier_operator.rollout.sequential import against_not_above, against_not_below


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.1])
def test_the_vectorised_tests_give_the_evidence_of_the_operator(margin: float) -> None:
    chance = np.random.default_rng(1)
    m, n = chance.integers(0, 6000, 300).astype(float), chance.integers(1, 700, 300).astype(float)
    rates = chance.choice([0.001, 0.01, 0.05, 0.3, 0.9], (2, 300))
    y, x = chance.binomial(m.astype(int), rates[0]), chance.binomial(n.astype(int), rates[1])
    pairs = vectorised.Pairs(n, x.astype(float), m, y.astype(float), margin)
    both = [
        (against_not_above, vectorised.against_not_above(pairs)),
        (against_not_below, vectorised.against_not_below(pairs)),
    ]
    for test, found in both:
        for which in range(300):
            exact = test(Counts(n[which], x[which]), Counts(m[which], y[which]), margin)
            if exact > 0:
                assert found[which] == pytest.approx(exact, abs=1e-6)


def test_no_evidence_is_above_the_divergence_by_which_histories_are_screened() -> None:
    n, x = np.array([200.0, 900.0]), np.array([9.0, 30.0])
    for margin in (0.0, 0.01):
        most = vectorised.divergence(n, x, np.array([0.001, 0.001]) + margin)
        for which in range(2):
            evidence = against_not_above(Counts(n[which], x[which]), Counts(5000, 5), margin)
            assert evidence <= most[which]
