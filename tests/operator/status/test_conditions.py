"""The conditions: those of each phase, of each problem, and the rules that hold for all."""

import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewaySnapshot,
    Problem,
    Snapshot,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State
from imageclassifier_operator.status.conditions import conditions
from imageclassifier_operator.status.phase_table import CONDITIONS, PHASE_CONDITIONS
from status_examples import GOAL, NOT_READ, ONE, RUNNING, STATES, TWO, gateways, reported, well, worlds


def test_the_table_has_a_row_for_every_phase():
    assert set(PHASE_CONDITIONS) == set(Phase) == set(STATES)


@pytest.mark.parametrize("phase", Phase)
def test_while_all_pods_are_healthy_the_conditions_are_those_of_the_table(phase):
    row = PHASE_CONDITIONS[phase]
    found = reported(STATES[phase], well(1, 2))
    assert found["Available"][0] == row.available
    assert found["Ready"][0] == row.ready
    assert found["Progressing"] == (row.progressing, row.reason)
    assert found["GatewayReady"][0] == (phase is not Phase.STOPPED)


@pytest.mark.parametrize("phase", [p for p in RUNNING if STATES[p].serving is not None])
def test_without_a_ready_model_server_nothing_is_available_nor_ready(phase):
    seen = well(1, 2)
    gone = {v: replace(o, ready_pods=0, complete=False) for v, o in seen.versions.items()}
    found = reported(STATES[phase], replace(seen, versions=gone))
    assert found["Available"] == (False, Reason.NO_READY_PODS)
    assert not found["Ready"][0]
    assert not found["PredictorReady"][0]


@pytest.mark.parametrize("phase", [p for p in RUNNING if STATES[p].serving is not None])
def test_without_a_ready_gateway_nothing_is_available_nor_ready(phase):
    seen = replace(well(1, 2), gateways=(GatewaySnapshot("g", ready=False),), gateways_complete=False)
    found = reported(STATES[phase], seen)
    assert not found["Available"][0]
    assert not found["Ready"][0]
    assert not found["GatewayReady"][0]


def test_an_unacknowledged_routing_is_not_ready():
    found = reported(STATES[Phase.STABLE], replace(well(2), acknowledged_seconds=None))
    assert found["Ready"] == (False, Reason.AWAITING_GATEWAYS)
    assert found["Available"][0]


def test_a_failed_version_is_reported_while_the_spec_asks_for_it():
    failed = FailedVersion(2, "a", "AcceptanceFailed", "the salad is no pizza", 0.0)
    state = State(phase=Phase.STABLE, serving=ONE, failed=(failed,))
    found = reported(state, well(1))
    assert found["Available"][0]
    assert found["Progressing"] == (False, Reason.ACCEPTANCE_FAILED)
    assert found["Ready"] == (False, Reason.ACCEPTANCE_FAILED)
    back = reported(state, well(1), Goal(wanted=ONE, attempt="other"))
    assert back["Ready"] == (True, Reason.READY)


def test_what_blocks_the_operator_is_never_ready():
    blocked = Problem(Reason.CONFLICT, "NetworkPolicy pizza-gateway belongs to nobody")
    found = reported(STATES[Phase.STABLE], well(2), blocked=blocked)
    assert found["Ready"] == (False, Reason.CONFLICT)
    assert found["Available"][0]


@pytest.mark.parametrize("phase", Phase)
def test_no_rollout_progresses_while_the_spec_is_invalid(phase):
    blocked = Problem(Reason.INVALID_SPEC, "spec.model needs exactly one source")
    found = reported(STATES[phase], well(1, 2), goal=None, blocked=blocked)
    assert found["Progressing"] == found["Ready"] == (False, Reason.INVALID_SPEC)
    assert found["Available"][0] == (STATES[phase].serving is not None and phase is not Phase.STOPPED)


def test_a_service_that_belongs_to_someone_else_takes_the_requests_away():
    blocked = Problem(Reason.CONFLICT, "Service pizza-gateway belongs to nobody")
    found = reported(STATES[Phase.STABLE], replace(well(2), service_is_owned=False), blocked=blocked)
    assert found["Available"] == (False, Reason.CONFLICT)


def test_a_problem_of_the_first_version_is_in_every_condition():
    problem = Problem(Reason.IMAGE_PULL_FAILED, "pod p, container c: cannot pull image i")
    seen = Snapshot(versions={2: VersionSnapshot(TWO.input_hash, False, 0, problem=problem)})
    found = reported(State(phase=Phase.LOAD, candidate=TWO), seen)
    assert {found[c] for c in ("Available", "Ready", "PredictorReady")} == {(False, Reason.IMAGE_PULL_FAILED)}
    assert found["Progressing"] == (True, Reason.IMAGE_PULL_FAILED)


@given(
    phase=st.sampled_from(Phase), seen=worlds, goal=st.sampled_from([GOAL, replace(GOAL, wanted=ONE), None])
)
def test_ready_implies_all_else_and_every_reason_is_on_the_list(phase, seen, goal):
    found = conditions(goal, STATES[phase], seen)
    assert tuple(c.type for c in found) == CONDITIONS
    held = {c.type: c.holds for c in found}
    if held["Ready"]:
        assert held["Available"]
        assert held["PredictorReady"]
        assert held["GatewayReady"]
        assert goal is not None
        assert STATES[phase].serving == goal.wanted
    for condition in found:
        assert condition.reason in list(Reason)
        assert condition.message.strip()
        assert "None" not in condition.message
        assert "{" not in condition.message


def test_a_stopped_classifier_that_could_not_start_reports_the_reason():
    found = reported(
        STATES[Phase.STOPPED], Snapshot(), blocked=Problem(Reason.CONFLICT, "It is somebody else's.")
    )
    assert found["Ready"] == (False, Reason.CONFLICT)
    assert found["Available"] == (False, Reason.STOPPED)


def test_every_phase_and_condition_has_a_distinct_picture():
    pictures = [json.dumps(sorted(reported(STATES[p], well(1, 2)).items()), default=str) for p in Phase]
    for one, other in itertools.combinations(pictures, 2):
        assert one != other


def test_reasons_are_words_that_kubernetes_accepts():
    for reason in Reason:
        assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", reason.value)
        assert reason.description.endswith(".")


def test_a_classifier_is_available_while_the_fallback_answers_for_the_new_version():
    state = replace(STATES[Phase.SETTLE], attempt="a", unavailable_since=1.0)
    seen = well(1, 2)
    versions = {**seen.versions, 2: replace(seen.versions[2], ready_pods=0, complete=False)}
    seen = replace(seen, versions=versions, gateways=gateways(NOT_READ))
    assert not reported(state, seen)["Available"][0]
    found = reported(replace(state, fallback=1), seen)
    assert (found["Available"][0], found["Ready"][0]) == (True, False)
    available = conditions(GOAL, replace(state, fallback=1), seen)[0]
    assert available.message == "Version 1 answers requests in place of version 2."
