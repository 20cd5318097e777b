"""The analysis: which figures make it fail, pass or stay inconclusive, and its messages."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageclassifier_operator.api import Limits, RolloutSettings, Shadow, Step
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import ShadowReport
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.shadow_agreement import Agreement
from imageclassifier_operator.rollout.traffic_comparison import Comparison, Outcome, percent, rounded

RULES = RolloutSettings(steps=(Step(10, 300),))
PASSED, WORSE, INCONCLUSIVE = Outcome.PASSED, Outcome.WORSE, Outcome.INCONCLUSIVE


def window(requests: int, errors: int = 0, slow: int = 0) -> Window:
    return Window(requests, errors, {0.1: requests - slow, 0.5: requests, float("inf"): requests})


def analysis(candidate: Window, serving: Window, rules: RolloutSettings = RULES) -> Comparison:
    return Comparison(2, candidate, 1, Reference(recent=serving, concurrent=True), rules)


@pytest.mark.parametrize(
    ("candidate", "serving", "outcome"),
    [
        (window(600, 0), window(5400, 5), PASSED),
        (window(2000, 4), window(18_000, 20), PASSED),
        (window(600, 30), window(5400, 5), WORSE),
        (window(12, 12), window(100, 0), WORSE),
        (window(40, 0), window(5400, 5), INCONCLUSIVE),
        (window(50, 1), window(450, 0), INCONCLUSIVE),  # 2 %: a threshold of 1 % would roll it back
        (window(100, 3), window(900, 10), INCONCLUSIVE),
        (window(600, 12), window(5400, 108), INCONCLUSIVE),  # equal, and with too few requests to show it
        (window(6000, 120), window(54_000, 1080), PASSED),
        (window(500, 500), window(4500, 4500), PASSED),  # both fail everything: neither is worse
        (window(0), window(0), INCONCLUSIVE),
    ],
)
def test_the_figures_of_both_versions_give_the_outcome(
    candidate: Window, serving: Window, outcome: Outcome
) -> None:
    assert analysis(candidate, serving).outcome is outcome


def test_a_version_needs_its_minimum_of_requests_to_pass_but_not_to_fail() -> None:
    rules = dataclasses.replace(RULES, min_requests=1000)
    assert analysis(window(900), window(8100), rules).outcome is INCONCLUSIVE
    assert analysis(window(1000), window(9000), rules).outcome is PASSED
    assert analysis(window(12, 12), window(100), rules).outcome is WORSE


def test_a_limit_of_nothing_is_kept_until_the_opposite_is_shown() -> None:
    rules = dataclasses.replace(RULES, limits=Limits(error_rate_increase=0.0))
    assert analysis(window(49, 0), window(450, 0), rules).outcome is INCONCLUSIVE
    assert analysis(window(50, 0), window(450, 0), rules).outcome is PASSED
    assert analysis(window(5000, 60), window(45_000, 45), rules).outcome is WORSE
    assert analysis(window(5000, 60), window(45_000, 45), RULES).outcome is not PASSED


def test_a_limit_of_everything_lets_every_share_of_failures_pass() -> None:
    rules = dataclasses.replace(RULES, limits=Limits(error_rate_increase=1.0))
    assert analysis(window(50, 50), window(450, 0), rules).outcome is PASSED


@pytest.mark.parametrize(
    ("candidate", "serving", "reason"),
    [
        (window(400, slow=40), window(3600, slow=3), Reason.TOO_SLOW),
        (window(400, slow=4), window(3600, slow=36), None),  # 1 %: the 99th percentile keeps to the limit
        (window(400, slow=40), window(3600, slow=360), None),  # the serving version is as slow
        (window(20, slow=1), window(180), None),  # too few for a conclusion
    ],
)
def test_a_version_is_too_slow_when_more_than_one_in_a_hundred_is_and_more_than_of_the_serving_version(
    candidate: Window, serving: Window, reason: Reason | None
) -> None:
    rules = dataclasses.replace(RULES, limits=Limits(1.0, 100))
    problem = analysis(candidate, serving, rules).problem
    assert (problem.reason if problem else None) is reason


def test_a_time_between_two_bounds_of_the_histogram_is_rounded_up() -> None:
    assert window(100, slow=7).slower_than(100).events == 7
    assert window(100, slow=7).slower_than(101).events == 0
    assert window(100, slow=7).slower_than(501).events == 0


# -- after the promotion: the serving version's figures of before ------------------------------------------


def settled(candidate: Window, recent: Window, older: Window | None = None) -> Outcome:
    return Comparison(2, candidate, 1, Reference(recent, older or Window()), RolloutSettings()).outcome


def test_a_version_that_fails_as_its_predecessor_did_before_is_not_worse() -> None:
    assert settled(window(6000, 120), window(5400, 108)) is not WORSE
    assert settled(window(6000, 300), window(5400, 108)) is WORSE


def test_without_recent_requests_the_older_ones_are_compared() -> None:
    assert settled(window(1000, 50), window(0), window(36_000, 36)) is WORSE
    assert settled(window(1000, 50), window(0), window(36_000, 1800)) is not WORSE


def test_older_figures_that_the_recent_ones_contradict_are_left_out() -> None:
    """A client has sent failing requests for an hour; both versions fail them."""
    assert settled(window(3000, 150), window(1000, 50), window(50_000, 50)) is not WORSE
    assert Reference(window(1000, 50), window(50_000, 50)).failures.trials == 1000
    assert Reference(window(1000, 1), window(50_000, 50)).failures.trials == 10_000


def test_a_version_whose_predecessor_has_no_figures_is_worse_only_when_it_fails_very_often() -> None:
    assert settled(window(20, 20), window(0)) is WORSE
    assert settled(window(1000, 20), window(0)) is not WORSE


# -- words ------------------------------------------------------------------------------------------------


def test_the_message_of_too_few_requests_estimates_how_many_more_are_needed() -> None:
    few = analysis(window(120, 0), window(1080, 1))
    assert few.message == (
        "Version 2 failed 0 of 120 requests (0 %), version 1 0.09 % of 1,080. "
        f"About {rounded(few.requests_needed() or 0)} more requests are needed to show that it is not worse."
    )
    more = few.requests_needed()
    assert more is not None
    assert 200 < more < 1000


def test_the_estimated_number_of_requests_makes_the_analysis_conclusive() -> None:
    more = analysis(window(120, 0), window(1080, 1)).requests_needed()
    assert more is not None
    assert analysis(window(120 + more, 0), window(1080 + 9 * more, 1 + more // 120)).outcome is PASSED


def test_a_version_beyond_its_limit_gets_no_estimate_of_needed_requests() -> None:
    at_the_limit = analysis(window(600, 9), window(5400, 5))
    assert at_the_limit.outcome is INCONCLUSIVE
    assert "more requests will hardly show" in at_the_limit.message


def test_the_message_of_a_worse_version_names_both_shares_and_the_limit() -> None:
    assert analysis(window(600, 30), window(5400, 5)).message == (
        "Version 2 failed 30 of 600 requests (5 %), version 1 0.09 % of 5,400. "
        "spec.rollout.limits.errorRateIncrease allows 1 % more than the serving version."
    )


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.0013, "0.13 %"), (0.025, "2.5 %"), (0.314, "31 %"), (1, "100 %")]
)
def test_shares_are_written_as_people_read_them(share: float, text: str) -> None:
    assert percent(share) == text


# -- agreement of a shadow ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agreed", "compared", "outcome"),
    [
        (495, 500, INCONCLUSIVE),
        (1980, 2000, PASSED),
        (170, 200, WORSE),
        (480, 500, INCONCLUSIVE),
        (90, 90, INCONCLUSIVE),  # fewer than minCompared
        (300, 300, PASSED),
    ],
)
def test_a_shadow_passes_or_is_refused_when_its_agreement_is_shown(
    agreed: int, compared: int, outcome: Outcome
) -> None:
    assert Agreement(2, ShadowReport(2, compared, agreed), Shadow(50, 0.98)).outcome is outcome


def test_a_shadow_that_must_always_agree_is_refused_by_one_difference() -> None:
    always = Shadow(50, 1.0, 100)
    assert Agreement(2, ShadowReport(2, 100, 100), always).outcome is PASSED
    assert Agreement(2, ShadowReport(2, 100, 99), always).outcome is WORSE


def test_a_shadow_whose_agreement_is_not_analysed_passes_when_enough_was_compared() -> None:
    assert Agreement(2, ShadowReport(2, 99, 3), Shadow(50)).outcome is INCONCLUSIVE
    assert Agreement(2, ShadowReport(2, 100, 3), Shadow(50)).outcome is PASSED


# -- properties ---------------------------------------------------------------------------------------------

RANKS = {PASSED: 0, INCONCLUSIVE: 1, WORSE: 2}


@settings(max_examples=100, deadline=None)
@given(requests=st.integers(1, 3000), serving=st.integers(0, 20_000), data=st.data())
def test_one_more_failure_never_improves_the_outcome(
    requests: int, serving: int, data: st.DataObject
) -> None:
    errors = data.draw(st.integers(0, requests - 1))
    others = window(serving, data.draw(st.integers(0, serving)))
    before = analysis(window(requests, errors), others).outcome
    after = analysis(window(requests, errors + 1), others).outcome
    assert RANKS[after] >= RANKS[before]


@settings(max_examples=50, deadline=None)
@given(serving=st.integers(0, 20_000), data=st.data())
def test_a_version_with_exactly_the_serving_version_s_figures_is_never_worse(
    serving: int, data: st.DataObject
) -> None:
    figures = window(serving, data.draw(st.integers(0, serving)), data.draw(st.integers(0, serving)))
    rules = dataclasses.replace(RULES, limits=Limits(0.01, 100))
    assert analysis(figures, figures, rules).outcome is not WORSE
