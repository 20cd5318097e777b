"""The condition Progressing: what the rollout does now, and what it waits for."""

from dataclasses import replace

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
    Snapshot,
    Verdict,
    VersionSnapshot,
)
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.status.conditions import conditions
from status_examples import GOAL, NOT_READ, STATES, TWO, reported, well


def test_a_problem_of_a_verification_is_reported_at_once_even_while_paused():
    problem = Problem(Reason.QUOTA_EXCEEDED, "Job j: pods are refused")
    seen = replace(well(1, 2), verification_problem=problem)
    for state in (STATES[Phase.VERIFY], replace(STATES[Phase.VERIFY], clock_stopped_since=1.0)):
        found = reported(state, seen)
        assert found["Progressing"] == (True, Reason.QUOTA_EXCEEDED)
        assert found["Ready"] == (False, Reason.QUOTA_EXCEEDED)
        assert found["Available"][0]


PASSED = Verdict(passed=True, reason=Reason.READY, message="", version=2)


def progressing(state: State, seen: Snapshot) -> tuple[Reason, str]:
    found = next(c for c in conditions(GOAL, state, seen) if c.type == "Progressing")
    assert found.holds
    return found.reason, found.message


def test_a_verified_candidate_reports_what_it_waits_for():
    state, seen = STATES[Phase.VERIFY], replace(well(1, 2), verdict=PASSED)
    cannot = GatewayReport("s", 4, {2: NOT_READ})
    lost = VersionSnapshot(TWO.input_hash, complete=False, ready_pods=0)
    evicted = Problem(Reason.POD_EVICTED, "pod p was ended by its node")
    waits = "Version 2 passed verification and waits for "
    for changed, reason, what in (
        (
            {"gateways": (GatewaySnapshot("g", ready=True, report=cannot),)},
            Reason.AWAITING_GATEWAYS,
            "the gateways: Gateway pod g cannot use version 2: The model's contract is not JSON "
            "(dns:///pizza)",
        ),
        (
            {"versions": {**seen.versions, 2: replace(lost, problem=evicted)}},
            Reason.POD_EVICTED,
            "its model servers: pod p was ended by its node",
        ),
        (
            {"versions": {**seen.versions, 2: lost}},
            Reason.LOADING,
            "all of its model servers to become available",
        ),
        (
            {"acknowledged_seconds": None, "unacknowledged": ("g",)},
            Reason.AWAITING_GATEWAYS,
            "the gateways: Gateway pod g has not acknowledged",
        ),
    ):
        found = progressing(state, replace(seen, **changed))
        assert found[0] is reason
        assert found[1].startswith(waits + what)
    assert progressing(state, replace(seen, verdict=None)) == (
        Reason.VERIFYING,
        "Version 2 is being verified.",
    )


def test_a_candidate_that_waits_for_its_outdated_pods_does_not_report_their_problems():
    broken = Problem(Reason.OUT_OF_MEMORY, "the container used too much", fatal=True)
    versions = {**well(1, 2).versions, 2: VersionSnapshot("other", False, 0, problem=broken)}
    seen = replace(well(1, 2), versions=versions)
    waits = "Version 2 waits until no gateway sends requests to its outdated pods"
    assert progressing(STATES[Phase.LOAD], seen) == (Reason.AWAITING_GATEWAYS, f"{waits}.")
    late = replace(seen, acknowledged_seconds=None, unacknowledged=("g",))
    assert progressing(STATES[Phase.LOAD], late)[1].startswith(f"{waits}: Gateway pod g has not")
    ending = {**versions, 2: replace(well(2).versions[2], outdated_pods_serve=True)}
    assert (
        "waits until its outdated pods have terminated"
        in progressing(STATES[Phase.LOAD], replace(seen, versions=ending))[1]
    )
    refused = Problem(Reason.API_REFUSED, "Deployment pizza-serving-v2 is refused")
    found = conditions(GOAL, STATES[Phase.LOAD], seen, refused)
    assert next(c for c in found if c.type == "Progressing").message == refused.message


def test_a_paused_rollout_and_a_paused_shadow_explain_how_to_continue():
    state = replace(STATES[Phase.SHIFT], percent=0, shadow_percent=5, clock_stopped_since=1.0)
    reason, message = progressing(state, well(1, 2))
    assert reason is Reason.PAUSED
    assert message.startswith(
        "Version 2 gets copies of 5 % of the requests. The rollout is paused. To continue, give "
        "spec.rollout.promoteToken or the annotation imageclassifier.dev/promote a new value."
    )
    assert progressing(replace(state, clock_stopped_since=None), well(1, 2))[0] is Reason.SHADOWING


def test_a_gateway_that_cannot_use_the_candidate_is_reported():
    cannot = GatewayReport("s", 4, {2: NOT_READ})
    seen = replace(well(1, 2), gateways=(GatewaySnapshot("g", ready=True, report=cannot),))
    assert "Gateway pod g cannot use version 2: The model's" in progressing(STATES[Phase.SHIFT], seen)[1]


def test_a_candidate_whose_pods_a_node_took_is_not_reported_as_paused():
    state = replace(STATES[Phase.SHIFT], unavailable_since=1.0, clock_stopped_since=1.0)
    lost = Problem(Reason.NODE_LOST, "Pod p is on node n, which has stopped reporting.")
    seen = well(1, 2)
    seen = replace(seen, versions={**seen.versions, 2: replace(seen.versions[2], ready_pods=0, problem=lost)})
    reason, message = progressing(state, seen)
    assert reason is Reason.SHIFTING
    assert message.startswith(
        "Version 2 gets 10 % of the traffic. It has no ready pod, so the serving version "
    )
    assert lost.message in message
