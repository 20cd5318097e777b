"""What the conditions report of gateways that cannot use a version, or do not acknowledge the routing."""

from dataclasses import replace

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    AccessReport,
    GatewayReport,
    GatewaySnapshot,
    Problem,
)
from imageclassifier_operator.rollout.state import Phase
from imageclassifier_operator.status.conditions import conditions
from imageclassifier_operator.status.document import status
from status_examples import FACTS, GOAL, NOT_READ, STATES, WELL, gateways, reported, well


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


BROKEN = AccessReport(needs_key=True, error="The entry 'shop' has 0 keys; it must have 1 to 8.")


@pytest.mark.parametrize("complete", [True, False])
def test_broken_api_keys_are_reported_with_the_entry_and_what_to_correct(complete):
    """A gateway that was ready before stays so; one that has just started does not answer its probe."""
    not_answering = Problem(Reason.NOT_ANSWERING, "Container gateway runs but fails its readiness probe.")
    seen = replace(
        well(2),
        gateways=(GatewaySnapshot("g", ready=complete, wants_key=True, access=BROKEN),),
        gateways_complete=complete,
        gateway_problem=None if complete else not_answering,
    )
    found = {c.type: c for c in conditions(GOAL, STATES[Phase.STABLE], seen)}
    for condition in ("Ready", "GatewayReady"):
        assert (found[condition].holds, found[condition].reason) == (False, Reason.API_KEYS_UNUSABLE)
        assert (
            "Gateway pod g cannot use all API keys: The entry 'shop' has 0 keys; it must have 1 to 8. "
            "Correct the Secret in spec.gateway.authentication.apiKeys."
        ) in found[condition].message
    assert found["Available"].holds is complete


def test_a_worse_problem_of_the_gateways_pods_comes_before_their_api_keys():
    seen = replace(
        well(2),
        gateways=(GatewaySnapshot("g", ready=False, wants_key=True, access=BROKEN),),
        gateways_complete=False,
        gateway_problem=Problem(Reason.VOLUME_FAILED, "Pod h cannot mount a volume."),
    )
    assert reported(STATES[Phase.STABLE], seen)["GatewayReady"] == (False, Reason.VOLUME_FAILED)


def test_a_gateway_whose_image_ignores_api_keys_is_reported_as_open():
    old = GatewaySnapshot("g", ready=True, wants_key=True, access=AccessReport())
    seen = replace(well(2), gateways=(old,))
    found = {c.type: c for c in conditions(GOAL, STATES[Phase.STABLE], seen)}
    assert found["Available"].holds
    assert found["GatewayReady"].reason is Reason.API_KEYS_UNUSABLE
    assert "Gateway pod g is open to everybody" in found["Ready"].message


def test_a_certificate_that_could_not_be_renewed_is_reported_while_the_old_one_serves():
    access = AccessReport(certificate_error="The certificate in /etc/tls is invalid: key values mismatch.")
    seen = replace(well(2), gateways=(GatewaySnapshot("g", ready=True, access=access),))
    found = {c.type: c for c in conditions(GOAL, STATES[Phase.STABLE], seen)}
    assert found["Available"].holds
    assert (found["GatewayReady"].holds, found["GatewayReady"].reason) == (False, Reason.CERTIFICATE_UNUSABLE)
    assert (
        "is invalid: key values mismatch. Correct the Secret in spec.gateway.tls." in found["Ready"].message
    )


CLOSED = GatewaySnapshot("closed", ready=True, wants_key=True, access=AccessReport(needs_key=True))
STARTING = GatewaySnapshot("starting", ready=False, wants_key=True)
OPEN = GatewaySnapshot("open", ready=True, access=AccessReport())
IGNORES = GatewaySnapshot("ignores", ready=True, wants_key=True, access=AccessReport())


@pytest.mark.parametrize(
    ("gateways", "access"),
    [
        ((), None),
        ((OPEN,), "Open"),
        ((CLOSED, STARTING), "APIKey"),
        ((CLOSED, OPEN), "Open"),
        ((CLOSED, IGNORES), "Open"),
    ],
)
def test_the_status_says_that_the_gateways_are_open_while_any_of_them_is(gateways, access):
    seen = replace(well(2), gateways=gateways)
    assert status(FACTS, GOAL, STATES[Phase.STABLE], seen).get("access") == access
