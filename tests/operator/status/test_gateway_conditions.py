"""What the conditions report of gateways that cannot use a version, or do not acknowledge the routing."""

from dataclasses import replace

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
)
from imageclassifier_operator.rollout.state import Phase
from imageclassifier_operator.status.conditions import conditions
from status_examples import GOAL, NOT_READ, STATES, WELL, gateways, reported, well


@pytest.mark.parametrize("words", [(NOT_READ,), (NOT_READ, NOT_READ), (None, NOT_READ)])
def test_nothing_is_available_when_every_gateway_that_reported_cannot_use_the_serving_version(words):
    seen = replace(well(2), gateways=gateways(*words))
    found = {c.type: c for c in conditions(GOAL, STATES[Phase.STABLE], seen)}
    for condition in ("Available", "Ready", "GatewayReady"):
        assert (found[condition].holds, found[condition].reason) == (False, Reason.VERSION_UNUSABLE)
        assert (
            f"Gateway pod g-{words.index(NOT_READ)} cannot use version 2: The model's contract is not JSON"
            in (found[condition].message)
        )
    assert found["PredictorReady"].holds


def test_one_gateway_that_cannot_use_the_serving_version_does_not_take_the_others_requests_away():
    found = reported(STATES[Phase.STABLE], replace(well(2), gateways=gateways(NOT_READ, WELL)))
    assert found["Available"] == (True, Reason.AVAILABLE)
    assert found["GatewayReady"] == found["Ready"] == (False, Reason.VERSION_UNUSABLE)


def test_a_gateway_without_a_report_does_not_change_the_conditions():
    found = reported(STATES[Phase.STABLE], replace(well(2), gateways=gateways(None, None)))
    assert found["Available"][0]
    assert found["Ready"] == (True, Reason.READY)


def test_a_gateway_that_is_not_ready_is_reported_with_its_own_error():
    problem = Problem(Reason.NOT_ANSWERING, "pod g-0, container gateway: look at its kubectl logs")
    seen = replace(
        well(2),
        gateways=gateways(NOT_READ, ready=False),
        gateways_complete=False,
        gateway_problem=problem,
        acknowledged_seconds=None,
    )
    for condition in conditions(GOAL, STATES[Phase.STABLE], seen):
        if condition.type != "PredictorReady":
            assert "Gateway pod g-0 is not ready: The model's contract is not JSON" in condition.message
    unheard = replace(seen, gateways=gateways(None, ready=False))
    found = {c.type: c.message for c in conditions(GOAL, STATES[Phase.STABLE], unheard)}
    assert found["Available"] == found["GatewayReady"] == problem.message


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (None, " yet. If this continues, check that the operator can reach port 9697"),
        (GatewayReport("s", 6), " yet and still uses revision 6. If this continues, check that the kubelet"),
        (
            GatewayReport("s", 6, routing_error="The routing file has schema 2."),
            ": The routing file has schema 2. If this continues, check that the gateway's image",
        ),
    ],
)
def test_a_missing_acknowledgement_is_reported_with_its_cause(report, words):
    state = replace(STATES[Phase.STABLE], revision=7)
    seen = replace(
        well(2),
        gateways=(GatewaySnapshot("g", ready=True, report=report),),
        acknowledged_seconds=None,
        unacknowledged=("g",),
    )
    ready = next(c for c in conditions(GOAL, state, seen) if c.type == "Ready")
    assert ready.reason is Reason.AWAITING_GATEWAYS
    assert f"Gateway pod g has not acknowledged routing revision 7{words}" in ready.message
