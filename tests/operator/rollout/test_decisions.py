"""Single decisions that test_random_histories.py reaches rarely or never."""

from dataclasses import replace

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import (
    Step,
)
from imageclassifier_operator.observe.types import (
    Snapshot,
)
from imageclassifier_operator.rollout import decide, routing
from imageclassifier_operator.rollout.state import Phase
from single_decisions import NOW, ONE, PASSED, ROLLING, SETTLING, goal, names, seen


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (
            seen(connected=False, error="no route to host"),
            "Gateway pod pizza-gateway-x cannot use version 2: no route to host.",
        ),
        (seen(report=False), "Gateway pod pizza-gateway-x has not acknowledged routing revision 5 yet. If"),
        (
            seen(acknowledged_seconds=None, revision=4),
            "Gateway pod pizza-gateway-x has not acknowledged routing revision 5 yet and still uses "
            "revision 4",
        ),
    ],
    ids=["a gateway cannot reach it", "a gateway cannot be asked", "a gateway does not read the routing"],
)
def test_a_verified_candidate_that_gateways_cannot_use_fails_at_the_deadline(
    looks: Snapshot, said: str
) -> None:
    state = replace(ROLLING, phase=Phase.VERIFY)
    looks = replace(looks, verdict=PASSED)
    waiting = decide(goal(), state, looks, NOW + 599)
    assert (names(waiting), waiting.requeue_seconds) == ([], 1.0)
    [failed] = decide(goal(), state, looks, NOW + 600).state.failed
    assert failed.reason == "ProgressDeadlineExceeded"
    assert "Version 2 passed verification but could not get traffic within 600 s" in failed.message
    assert said in failed.message


def test_a_share_that_a_gateway_cannot_send_is_rolled_back_at_the_deadline() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10)
    rules = {"steps": (Step(10, 30),)}
    looks = seen(connected=False, error="no route to host", unusable_seconds=599.0)
    assert names(decide(goal(**rules), state, looks, NOW + 700)) == []
    after = decide(goal(**rules), state, replace(looks, unusable_seconds=600.0), NOW + 700).state
    assert routing.shares(after) == {1: 100}
    assert "Gateway pod pizza-gateway-x cannot use version 2: no route to host." in after.failed[0].message


@pytest.mark.parametrize("phase", [Phase.SHIFT, Phase.SETTLE])
def test_no_version_loses_pods_while_versions_share_the_traffic_or_it_may_go_back(phase: Phase) -> None:
    """The serving version idles during a canary, so an autoscaler would take its pods."""
    state = {Phase.SHIFT: replace(ROLLING, phase=phase, percent=10)}.get(
        phase, replace(SETTLING, phase=phase)
    )
    rules = {"keep_previous_seconds": 900, "steps": (Step(10, 900),)}
    attempt, unacknowledged = state.attempt, seen(acknowledged_seconds=None)
    for wanted, kept in ((3, 3), (1, 3), (5, 5), (2, 5)):
        now = replace(goal(attempt=attempt, **rules), replicas=wanted)
        state = decide(now, state, unacknowledged, NOW + 1).state
        assert state.phase is phase
        assert state.replicas(wanted) == kept


def test_pods_may_be_removed_again_once_the_rollout_has_ended() -> None:
    state = replace(ROLLING, phase=Phase.STABLE, candidate=None, min_replicas=5)
    after = decide(replace(goal(wanted=ONE), replicas=2), state, seen(), NOW + 1).state
    assert after.phase is Phase.STABLE
    assert after.replicas(2) == 2


def test_a_verification_with_a_data_set_has_more_time() -> None:
    """Both for its verdict, and for the gateways to connect to a version that passed late."""
    dataset = api.Dataset(api.DatasetClaim("pictures"), timeout_seconds=3600)
    rules = {"acceptance": api.Acceptance(dataset=dataset), "progress_deadline_seconds": 600}
    state = replace(ROLLING, phase=Phase.VERIFY)

    def after(seconds: float, snapshot: Snapshot) -> Phase:
        return decide(goal(**rules), state, snapshot, NOW + seconds).state.phase

    waits_for_gateways = seen(verdict=PASSED, connected=False)
    for snapshot in (seen(), waits_for_gateways):
        assert after(4199, snapshot) is Phase.VERIFY
        assert after(4201, snapshot) is Phase.RETIRE
    assert decide(goal(), state, seen(), NOW + 601).state.phase is Phase.RETIRE
