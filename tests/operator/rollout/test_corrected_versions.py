"""Versions that are corrected under their number, before or after they have failed."""

from dataclasses import replace

import pytest

from imageclassifier_operator.observe.types import (
    VersionSnapshot,
)
from imageclassifier_operator.rollout import decide
from imageclassifier_operator.rollout.state import Phase, State
from single_decisions import NOW, ONE, ROLLING, SETTLING, TWO, broken, goal, names, seen, served

MENDED = served(2, memory="4Gi")


@pytest.mark.parametrize(
    "state",
    [
        replace(ROLLING, phase=Phase.LOAD),
        replace(ROLLING, phase=Phase.VERIFY),
        State(revision=5, phase=Phase.RETIRE, serving=ONE, since=NOW),
    ],
    ids=["while it is loaded", "while it is verified", "while it is removed"],
)
def test_a_corrected_candidate_does_not_fail_because_of_its_outdated_pods(state: State) -> None:
    looks = replace(broken(TWO), acknowledged_seconds=1.0)
    after = decide(goal(wanted=MENDED, attempt="b"), state, looks, NOW + 1)
    assert (after.state.phase, after.state.candidate) == (Phase.LOAD, MENDED)
    assert after.state.failed == ()
    again = decide(goal(wanted=MENDED, attempt="b"), after.state, looks, NOW + 2)
    assert (again.state.phase, again.taken) == (Phase.LOAD, ())


def test_a_corrected_candidate_whose_own_pods_break_fails() -> None:
    state = replace(ROLLING, phase=Phase.LOAD, candidate=MENDED, attempt="b")
    [failed] = decide(goal(wanted=MENDED, attempt="b"), state, broken(MENDED), NOW + 1).state.failed
    assert (failed.attempt, failed.reason) == ("b", "OutOfMemory")


def test_a_candidate_that_waits_for_its_earlier_pods_to_go_has_all_of_its_time_afterwards() -> None:
    mended = goal(wanted=MENDED, attempt="b", progress_deadline_seconds=100)
    state = replace(ROLLING, phase=Phase.LOAD, candidate=MENDED, attempt="b")
    in_the_way, gone = broken(TWO), replace(seen(), versions={1: VersionSnapshot(ONE.input_hash, True, 1)})
    state = decide(mended, state, in_the_way, NOW + 10).state
    assert names(decide(mended, state, in_the_way, NOW + 5_000)) == []
    state = decide(mended, state, gone, NOW + 5_000).state
    assert names(decide(mended, state, gone, NOW + 5_089)) == []
    assert names(decide(mended, state, gone, NOW + 5_090))[0] == "CandidateFailed"


def test_a_corrected_candidate_is_not_verified_while_its_earlier_pods_still_respond() -> None:
    state = replace(ROLLING, phase=Phase.LOAD)
    up = VersionSnapshot(TWO.input_hash, True, 1)
    waiting = seen(versions={**seen().versions, 2: replace(up, outdated_pods_serve=True)})
    assert names(decide(goal(), state, waiting, NOW + 1)) == []
    assert names(decide(goal(), state, seen(), NOW + 1)) == ["CandidateLoaded"]


def test_an_unchanged_failed_version_is_retried_only_when_its_pods_are_gone() -> None:
    """For example, a user corrects files on a volume: only the annotation changes."""
    first = decide(goal(), replace(ROLLING, phase=Phase.LOAD), broken(TWO), NOW + 1).state
    again = goal(attempt="b")
    waiting = replace(broken(TWO), acknowledged_seconds=1.0)
    assert names(decide(again, first, waiting, NOW + 2)) == []
    gone = replace(seen(), versions={1: VersionSnapshot(ONE.input_hash, True, 1)})
    after = decide(again, first, gone, NOW + 20)
    assert (names(after)[-1], after.state.candidate) == ("RolloutStarted", TWO)


def test_settings_corrected_in_place_do_not_fail_because_of_outdated_pods() -> None:
    after = decide(goal(wanted=MENDED, attempt="b"), SETTLING, broken(TWO), NOW + 1).state
    assert (after.phase, after.serving, after.failed) == (Phase.SETTLE, MENDED, ())
