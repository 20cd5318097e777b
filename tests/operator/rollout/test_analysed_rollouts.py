"""How the analysis moves a rollout: it waits, continues, promotes or rolls back by both versions' counts."""

from dataclasses import replace
from typing import Any

import pytest

from crd_schema import STATUS, complaints
from imageclassifier_operator.api import (
    ImageSource,
    Limits,
    ModelVersion,
    RolloutSettings,
    ServingSettings,
    Shadow,
    Step,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Counters,
    GatewayReport,
    GatewaySnapshot,
    ShadowReport,
    Snapshot,
    Verdict,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Decision, Goal, decide, needs_reports
from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.status.document import Facts, status

NOW = 10_000.0


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


ONE, TWO = served(1), served(2)
STEPS = (Step(10, 60), Step(50, 60))
SHIFTING = State(
    revision=5, phase=Phase.SHIFT, since=NOW, serving=ONE, candidate=TWO, percent=10, attempt="a"
)
SETTLING = State(revision=5, phase=Phase.SETTLE, since=NOW, serving=TWO, previous=ONE, attempt="a")


def goal(promote: str = "", **rules: Any) -> Goal:
    return Goal(TWO, "a", RolloutSettings(**{"steps": STEPS, **rules}), promote)


def counted(
    one: tuple[int, int], two: tuple[int, int], shadow: ShadowReport | None = None, **more: Any
) -> Snapshot:
    """All pods are ready; the gateway has counted these requests and failures of versions 1 and 2."""
    reports = {
        number: VersionReport(True, Counters(*counts, {"0.1": counts[0], "+Inf": counts[0]}))
        for number, counts in ((1, one), (2, two))
    }
    gateway = GatewaySnapshot("g", True, GatewayReport("g", 5, reports, shadow=shadow))
    up = {each.version: VersionSnapshot(each.input_hash, True, 1) for each in (ONE, TWO)}
    return Snapshot(versions=up, gateways=(gateway,), acknowledged_seconds=99.0, **more)


def names(decision: Decision) -> list[str]:
    return [each.name for each in decision.taken]


# -- the end of a step ----------------------------------------------------------------------------------


def test_a_step_ends_when_its_time_is_over_and_the_candidate_is_shown_not_to_be_worse() -> None:
    enough = counted((5400, 5), (600, 0))
    assert names(decide(goal(), SHIFTING, enough, NOW + 59)) == []
    assert decide(goal(), SHIFTING, enough, NOW + 60).state.percent == 50


def test_an_inconclusive_step_waits_without_a_time_limit() -> None:
    assert names(decide(goal(), SHIFTING, counted((900, 1), (100, 0)), NOW + 100_000)) == []


def test_an_inconclusive_step_continues_if_the_spec_allows_it_and_records_an_event() -> None:
    few = counted((45, 0), (5, 0))
    assert names(decide(goal(on_inconclusive="Continue"), SHIFTING, few, NOW + 59)) == []
    decision = decide(goal(on_inconclusive="Continue"), SHIFTING, few, NOW + 60)
    assert decision.state.percent == 50
    assert "inconclusive analysis" in decision.taken[0].message
    last = replace(SHIFTING, percent=50)
    promoted = decide(goal(on_inconclusive="Continue"), last, few, NOW + 60)
    assert promoted.state.phase is Phase.SETTLE
    assert "inconclusive analysis" in promoted.taken[0].message


def test_a_step_that_passed_is_not_reported_as_inconclusive() -> None:
    [taken] = decide(goal(on_inconclusive="Continue"), SHIFTING, counted((5400, 5), (600, 0)), NOW + 60).taken
    assert "inconclusive" not in taken.message


def test_a_manual_promotion_ends_an_inconclusive_step() -> None:
    few = counted((9, 0), (1, 0))
    after = decide(goal(promote="now"), SHIFTING, few, NOW + 10)
    assert (after.state.percent, after.state.promoted) == (50, "now")
    assert names(decide(goal(promote="now"), after.state, few, NOW + 20)) == []


def test_a_candidate_whose_spec_has_no_steps_any_more_gets_all_traffic_at_once() -> None:
    after = decide(goal(steps=()), SHIFTING, counted((9, 0), (1, 0)), NOW + 1)
    assert after.state.phase is Phase.SETTLE


@pytest.mark.parametrize("on_inconclusive", ["Wait", "Continue"])
def test_a_candidate_that_is_shown_to_be_worse_is_rolled_back_at_any_moment(on_inconclusive: str) -> None:
    worse = counted((90, 0), (10, 8))
    decision = decide(goal(on_inconclusive=on_inconclusive), SHIFTING, worse, NOW + 1)
    assert decision.taken[0].name == "RolledBack"
    assert decision.state.failed[0].reason == "TooManyErrors"


def test_a_candidate_is_not_rolled_back_for_one_failure_among_fifty() -> None:
    assert names(decide(goal(), SHIFTING, counted((450, 0), (50, 1)), NOW + 30)) == []


def test_a_candidate_that_is_too_slow_is_rolled_back() -> None:
    slow = counted((900, 0), (100, 0))
    [gateway] = slow.gateways
    assert gateway.report is not None
    versions = {
        **gateway.report.versions,
        2: VersionReport(True, Counters(100, 0, {"0.1": 60, "0.5": 100, "+Inf": 100})),
    }
    slow = replace(slow, gateways=(replace(gateway, report=replace(gateway.report, versions=versions)),))
    decision = decide(goal(limits=Limits(0.01, 100)), SHIFTING, slow, NOW + 1)
    assert decision.state.failed[0].reason == "TooSlow"
    assert "allows 100 ms" in decision.state.failed[0].message


def test_each_step_has_a_window_of_its_own() -> None:
    first = decide(goal(), SHIFTING, counted((5400, 5), (600, 0)), NOW + 60).state
    waiting = decide(goal(), first, counted((5700, 5), (900, 0)), NOW + 120)
    assert names(waiting) == []
    assert decide(goal(), first, counted((6400, 5), (1600, 0)), NOW + 120).state.phase is Phase.SETTLE


# -- a shadow -------------------------------------------------------------------------------------------

SHADOWING = replace(SHIFTING, percent=0, shadow_percent=50)
AGREE = Shadow(50, 0.98, 100)


@pytest.mark.parametrize(
    ("compared", "agreed", "on_inconclusive", "taken"),
    [
        (300, 300, "Wait", "ShareChanged"),
        (150, 150, "Wait", None),
        (150, 150, "Continue", "ShareChanged"),
        (99, 99, "Continue", None),
        (200, 170, "Continue", "RolledBack"),
    ],
)
def test_the_agreement_decides_whether_a_shadow_continues_waits_or_is_refused(
    compared: int, agreed: int, on_inconclusive: str, taken: str | None
) -> None:
    seen = counted((0, 0), (0, 0), ShadowReport(2, compared, agreed))
    decision = decide(goal(shadow=AGREE, on_inconclusive=on_inconclusive), SHADOWING, seen, NOW + 1)
    assert names(decision)[:1] == ([] if taken is None else [taken])


# -- after the promotion --------------------------------------------------------------------------------


def test_the_figures_of_the_serving_version_are_kept_from_the_verification_to_the_end_of_settle() -> None:
    passed = Verdict(True, Reason.READY, "")
    loading = State(revision=5, phase=Phase.LOAD, since=NOW, serving=ONE, candidate=TWO, attempt="a")
    assert needs_reports(loading, acknowledged=True)
    state = decide(goal(steps=(Step(10, 0),)), loading, counted((10_000, 10), (0, 0)), NOW + 1).state
    assert state.phase is Phase.VERIFY
    verified = counted((10_100, 11), (0, 0), verdict=passed)
    state = decide(goal(steps=(Step(10, 0),)), state, verified, NOW + 2).state
    assert (state.phase, state.reference.recent.requests) == (Phase.SHIFT, 100)
    state = decide(goal(steps=(Step(10, 0),)), state, counted((15_500, 15), (600, 0)), NOW + 3).state
    assert state.phase is Phase.SETTLE
    recent, older = state.reference.recent, state.reference.older
    assert (recent.requests, recent.errors) == (5500, 5)
    assert (older.requests, older.errors) == (10_000, 10)
    assert State.from_json(state.to_json()).reference == state.reference


TWO_PERCENT = Reference(recent=Window(3000, 60))


def test_a_new_version_that_fails_as_often_as_the_previous_one_did_stays() -> None:
    state = replace(SETTLING, reference=TWO_PERCENT)
    assert names(decide(goal(), state, counted((0, 0), (6000, 120)), NOW + 100)) == []
    worse = decide(goal(), state, counted((0, 0), (6000, 300)), NOW + 100)
    assert worse.taken[0].name == "RolledBack"
    assert worse.state.serving == ONE


def test_failures_that_the_previous_version_shares_are_not_counted_against_the_new_one() -> None:
    state = replace(SETTLING, reference=TWO_PERCENT)
    assert names(decide(goal(), state, counted((300, 280), (6000, 300)), NOW + 100)) == []


def test_a_new_version_that_fails_everything_is_rolled_back_even_without_figures_of_the_previous_one() -> (
    None
):
    assert names(decide(goal(), SETTLING, counted((0, 0), (12, 12)), NOW + 1))[0] == "RolledBack"


# -- the status -----------------------------------------------------------------------------------------


def analysis(state: State, snapshot: Snapshot, **rules: Any) -> dict[str, Any]:
    document = status(Facts(name="pizza", generation=3, now=NOW), goal(**rules), state, snapshot)
    assert list(complaints(STATUS, document, "status")) == []
    found: dict[str, Any] = document["analysis"]
    return found


def test_the_status_shows_both_versions_and_what_to_do_while_inconclusive() -> None:
    few = counted((900, 1), (100, 0))
    found = analysis(SHIFTING, few)
    assert found["outcome"] == "Inconclusive"
    assert found["versions"] == [
        {
            "version": 2,
            "requests": 100,
            "errors": 0,
            "errorRateUpperBound": "3.4 %",
            "p99Milliseconds": 99,
        },
        {
            "version": 1,
            "requests": 900,
            "errors": 1,
            "errorRateUpperBound": "0.9 %",
            "p99Milliseconds": 99,
        },
    ]
    assert "more requests are needed" in found["message"]
    assert "promote" in found["message"]
    assert "onInconclusive to Continue" in found["message"]
    assert "onInconclusive is Continue" in analysis(SHIFTING, few, on_inconclusive="Continue")["message"]


def test_the_status_shows_the_figures_behind_an_analysis_outcome() -> None:
    assert analysis(SHIFTING, counted((5400, 5), (600, 0)))["outcome"] == "Passed"
    settled = replace(SETTLING, reference=TWO_PERCENT)
    assert analysis(settled, counted((0, 0), (6000, 300)))["outcome"] == "Worse"
    waiting = analysis(settled, counted((0, 0), (50, 1)))
    assert "before" in waiting["message"]
    assert "promote" not in waiting["message"]


def test_the_status_of_a_shadow_has_the_outcome_without_counts_of_failures() -> None:
    found = analysis(SHADOWING, counted((0, 0), (0, 0), ShadowReport(2, 150, 150)), shadow=AGREE)
    assert found["outcome"] == "Inconclusive"
    assert "versions" not in found
    assert "agreed with the serving version on 150 of 150 requests (100 %)" in found["message"]


def test_without_a_version_under_analysis_the_status_has_no_analysis() -> None:
    stable = State(phase=Phase.STABLE, serving=TWO)
    facts = Facts(name="pizza", generation=3, now=NOW)
    assert "analysis" not in status(facts, goal(), stable, counted((0, 0), (10, 0)))
