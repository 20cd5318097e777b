"""The status: every phase, every problem, and the rules of all conditions."""

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crd_schema import STATUS, complaints
from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewayReport,
    GatewaySnapshot,
    Problem,
    Snapshot,
    Verdict,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import FailedVersion, HistoryEntry, Phase, State
from imageclassifier_operator.status.conditions import conditions
from imageclassifier_operator.status.document import Facts, is_urgent, status
from imageclassifier_operator.status.phase_table import CONDITIONS, PHASE_CONDITIONS

FACTS = Facts(name="pizza", generation=3, now=1000.0)


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


ONE, TWO = served(1), served(2)
STATES = {
    Phase.PENDING: State(phase=Phase.PENDING),
    Phase.LOAD: State(phase=Phase.LOAD, serving=ONE, candidate=TWO),
    Phase.VERIFY: State(phase=Phase.VERIFY, serving=ONE, candidate=TWO),
    Phase.SHIFT: State(phase=Phase.SHIFT, serving=ONE, candidate=TWO, percent=10),
    Phase.SETTLE: State(phase=Phase.SETTLE, serving=TWO, previous=ONE),
    Phase.RETIRE: State(phase=Phase.RETIRE, serving=TWO),
    Phase.STABLE: State(phase=Phase.STABLE, serving=TWO),
    Phase.STOPPED: State(phase=Phase.STOPPED, serving=TWO),
}
RUNNING = [phase for phase in Phase if phase is not Phase.STOPPED]
GOAL = Goal(wanted=TWO, attempt="a")


def well(*versions: int) -> Snapshot:
    """All pods of these versions and all gateways are up and acknowledged."""
    return Snapshot(
        versions={
            v: VersionSnapshot(served(v).input_hash, complete=True, ready_pods=2, replicas=2)
            for v in versions
        },
        gateways=(GatewaySnapshot("g", ready=True),),
        gateways_complete=True,
        acknowledged_seconds=5.0,
    )


def said(
    state: State, seen: Snapshot, goal: Goal | None = GOAL, blocked: Problem | None = None
) -> dict[str, tuple]:
    return {c.type: (c.holds, c.reason) for c in conditions(goal, state, seen, blocked)}


def test_the_table_has_a_row_for_every_phase():
    assert set(PHASE_CONDITIONS) == set(Phase) == set(STATES)


@pytest.mark.parametrize("phase", Phase)
def test_while_all_pods_are_healthy_the_conditions_are_those_of_the_table(phase):
    row = PHASE_CONDITIONS[phase]
    told = said(STATES[phase], well(1, 2))
    assert told["Available"][0] == row.available
    assert told["Ready"][0] == row.ready
    assert told["Progressing"] == (row.progressing, row.reason)
    assert told["GatewayReady"][0] == (phase is not Phase.STOPPED)


@pytest.mark.parametrize("phase", [p for p in RUNNING if STATES[p].serving is not None])
def test_without_a_ready_model_server_nothing_is_available_nor_ready(phase):
    seen = well(1, 2)
    gone = {v: replace(o, ready_pods=0, complete=False) for v, o in seen.versions.items()}
    told = said(STATES[phase], replace(seen, versions=gone))
    assert told["Available"] == (False, Reason.NO_READY_PODS)
    assert not told["Ready"][0]
    assert not told["PredictorReady"][0]


@pytest.mark.parametrize("phase", [p for p in RUNNING if STATES[p].serving is not None])
def test_without_a_ready_gateway_nothing_is_available_nor_ready(phase):
    seen = replace(well(1, 2), gateways=(GatewaySnapshot("g", ready=False),), gateways_complete=False)
    told = said(STATES[phase], seen)
    assert not told["Available"][0]
    assert not told["Ready"][0]
    assert not told["GatewayReady"][0]


def test_an_unacknowledged_routing_is_not_ready():
    told = said(STATES[Phase.STABLE], replace(well(2), acknowledged_seconds=None))
    assert told["Ready"] == (False, Reason.AWAITING_GATEWAYS)
    assert told["Available"][0]


def test_a_failed_version_is_reported_while_the_spec_asks_for_it():
    failed = FailedVersion(2, "a", "AcceptanceFailed", "the salad is no pizza", 0.0)
    state = State(phase=Phase.STABLE, serving=ONE, failed=(failed,))
    told = said(state, well(1))
    assert told["Available"][0]
    assert told["Progressing"] == (False, Reason.ACCEPTANCE_FAILED)
    assert told["Ready"] == (False, Reason.ACCEPTANCE_FAILED)
    back = said(state, well(1), Goal(wanted=ONE, attempt="other"))
    assert back["Ready"] == (True, Reason.READY)


def test_what_blocks_the_operator_is_never_ready():
    blocked = Problem(Reason.CONFLICT, "NetworkPolicy pizza-gateway belongs to nobody")
    told = said(STATES[Phase.STABLE], well(2), blocked=blocked)
    assert told["Ready"] == (False, Reason.CONFLICT)
    assert told["Available"][0]


@pytest.mark.parametrize("phase", Phase)
def test_no_rollout_progresses_while_the_spec_is_invalid(phase):
    blocked = Problem(Reason.INVALID_SPEC, "spec.model needs exactly one source")
    told = said(STATES[phase], well(1, 2), goal=None, blocked=blocked)
    assert told["Progressing"] == told["Ready"] == (False, Reason.INVALID_SPEC)
    assert told["Available"][0] == (STATES[phase].serving is not None and phase is not Phase.STOPPED)


def test_fields_that_need_a_valid_spec_stay_while_it_is_invalid():
    before = {
        "url": "http://pizza.example.org/",
        "modelDigest": "sha256:1",
        "verification": {"version": 2, "passed": True},
        "candidateVersion": 2,
    }
    after = status(replace(FACTS, live=before), None, STATES[Phase.STABLE], well(2))
    assert {name: after.get(name) for name in before} == {**before, "candidateVersion": None}


def test_a_problem_of_a_verification_is_reported_at_once_even_while_paused():
    problem = Problem(Reason.QUOTA_EXCEEDED, "Job j: pods are refused")
    seen = replace(well(1, 2), verification_problem=problem)
    for state in (STATES[Phase.VERIFY], replace(STATES[Phase.VERIFY], clock_stopped_since=1.0)):
        told = said(state, seen)
        assert told["Progressing"] == (True, Reason.QUOTA_EXCEEDED)
        assert told["Ready"] == (False, Reason.QUOTA_EXCEEDED)
        assert told["Available"][0]


NOT_READ = VersionReport(ready=False, error="The model's contract is not JSON (dns:///pizza).")
WELL = VersionReport(ready=True)


def gateways(*words: VersionReport | None, ready: bool = True) -> tuple[GatewaySnapshot, ...]:
    """One gateway for each report on the serving version."""
    return tuple(GatewaySnapshot(f"g-{i}", ready, serving=word) for i, word in enumerate(words))


@pytest.mark.parametrize("words", [(NOT_READ,), (NOT_READ, NOT_READ), (None, NOT_READ)])
def test_nothing_is_available_when_every_gateway_that_reported_cannot_use_the_serving_version(words):
    seen = replace(well(2), gateways=gateways(*words))
    told = {c.type: c for c in conditions(GOAL, STATES[Phase.STABLE], seen)}
    for condition in ("Available", "Ready", "GatewayReady"):
        assert (told[condition].holds, told[condition].reason) == (False, Reason.VERSION_UNUSABLE)
        assert (
            f"Gateway pod g-{words.index(NOT_READ)} cannot use version 2: The model's contract is not JSON"
            in (told[condition].message)
        )
    assert told["PredictorReady"].holds


def test_one_gateway_that_cannot_use_the_serving_version_does_not_take_the_others_requests_away():
    told = said(STATES[Phase.STABLE], replace(well(2), gateways=gateways(NOT_READ, WELL)))
    assert told["Available"] == (True, Reason.AVAILABLE)
    assert told["GatewayReady"] == told["Ready"] == (False, Reason.VERSION_UNUSABLE)


def test_a_gateway_without_a_report_does_not_change_the_conditions():
    told = said(STATES[Phase.STABLE], replace(well(2), gateways=gateways(None, None)))
    assert told["Available"][0]
    assert told["Ready"] == (True, Reason.READY)


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
    told = {c.type: c.message for c in conditions(GOAL, STATES[Phase.STABLE], unheard)}
    assert told["Available"] == told["GatewayReady"] == problem.message


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


PASSED = Verdict(passed=True, reason=Reason.READY, message="", version=2)


def progressing(state: State, seen: Snapshot) -> tuple[Reason, str]:
    told = next(c for c in conditions(GOAL, state, seen) if c.type == "Progressing")
    assert told.holds
    return told.reason, told.message


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
        told = progressing(state, replace(seen, **changed))
        assert told[0] is reason
        assert told[1].startswith(waits + what)
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
    told = conditions(GOAL, STATES[Phase.LOAD], seen, refused)
    assert next(c for c in told if c.type == "Progressing").message == refused.message


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


def test_a_service_that_belongs_to_someone_else_takes_the_requests_away():
    blocked = Problem(Reason.CONFLICT, "Service pizza-gateway belongs to nobody")
    told = said(STATES[Phase.STABLE], replace(well(2), service_is_owned=False), blocked=blocked)
    assert told["Available"] == (False, Reason.CONFLICT)


def test_a_problem_of_the_first_version_is_in_every_condition():
    problem = Problem(Reason.IMAGE_PULL_FAILED, "pod p, container c: cannot pull image i")
    seen = Snapshot(versions={2: VersionSnapshot(TWO.input_hash, False, 0, problem=problem)})
    told = said(State(phase=Phase.LOAD, candidate=TWO), seen)
    assert {told[c] for c in ("Available", "Ready", "PredictorReady")} == {(False, Reason.IMAGE_PULL_FAILED)}
    assert told["Progressing"] == (True, Reason.IMAGE_PULL_FAILED)


problems = st.sampled_from([None, Problem(Reason.OUT_OF_MEMORY, "pod p: ran out of memory", fatal=True)])
worlds = st.builds(
    Snapshot,
    versions=st.dictionaries(
        st.sampled_from([1, 2]),
        st.builds(
            VersionSnapshot,
            input_hash=st.just(""),
            complete=st.booleans(),
            ready_pods=st.integers(0, 2),
            problem=problems,
        ),
    ),
    gateways=st.lists(
        st.builds(
            GatewaySnapshot,
            pod=st.just("g"),
            ready=st.booleans(),
            serving=st.sampled_from([None, VersionReport(ready=True), VersionReport(ready=False)]),
        ),
        max_size=2,
    ).map(tuple),
    gateways_complete=st.booleans(),
    gateway_problem=problems,
    acknowledged_seconds=st.sampled_from([None, 0.0, 20.0]),
)


@given(
    phase=st.sampled_from(Phase), seen=worlds, goal=st.sampled_from([GOAL, replace(GOAL, wanted=ONE), None])
)
def test_ready_implies_all_else_and_every_reason_is_on_the_list(phase, seen, goal):
    told = conditions(goal, STATES[phase], seen)
    assert tuple(c.type for c in told) == CONDITIONS
    held = {c.type: c.holds for c in told}
    if held["Ready"]:
        assert held["Available"]
        assert held["PredictorReady"]
        assert held["GatewayReady"]
        assert goal is not None
        assert STATES[phase].serving == goal.wanted
    for condition in told:
        assert condition.reason in list(Reason)
        assert condition.message.strip()
        assert "None" not in condition.message
        assert "{" not in condition.message


@given(phase=st.sampled_from(Phase), seen=worlds)
def test_a_second_status_of_the_same_snapshot_is_equal(phase, seen):
    first = status(FACTS, GOAL, STATES[phase], seen)
    second = status(replace(FACTS, live=first, now=2000.0), GOAL, STATES[phase], seen)
    assert second == first
    assert not is_urgent(second, first)


@given(phase=st.sampled_from(Phase), seen=worlds)
def test_the_status_fits_the_crd(phase, seen):
    document = status(FACTS, GOAL, STATES[phase], seen)
    assert list(complaints(STATUS, document, "status")) == []


def test_every_condition_of_a_stopped_classifier_reports_the_stop_and_no_traffic():
    document = status(FACTS, replace(GOAL, stopped=True), STATES[Phase.STOPPED], Snapshot())
    assert {(c["type"], c["status"], c["reason"]) for c in document["conditions"]} == {
        (name, "False", "Stopped") for name in CONDITIONS
    }
    assert document["traffic"] == []
    assert document["servingVersion"] == 2


def test_a_stopped_classifier_that_could_not_start_reports_the_reason():
    told = said(STATES[Phase.STOPPED], Snapshot(), blocked=Problem(Reason.CONFLICT, "It is somebody else's."))
    assert told["Ready"] == (False, Reason.CONFLICT)
    assert told["Available"] == (False, Reason.STOPPED)


def test_the_status_has_the_ready_model_servers_and_the_history():
    entry = HistoryEntry(2, "RolledBack", 0.0, "TooSlow", "pizza@sha256:2")
    state = replace(STATES[Phase.STABLE], history=(entry, HistoryEntry(1, "Promoted", 0.0)))
    document = status(FACTS, GOAL, state, well(2))
    assert (document["replicas"], document["readyReplicas"]) == (2, 2)
    assert document["history"] == [
        {
            "version": 2,
            "verdict": "RolledBack",
            "time": "1970-01-01T00:00:00Z",
            "reason": "TooSlow",
            "modelDigest": "pizza@sha256:2",
        },
        {"version": 1, "verdict": "Promoted", "time": "1970-01-01T00:00:00Z"},
    ]


def test_every_phase_and_condition_has_a_distinct_picture():
    pictures = [json.dumps(sorted(said(STATES[p], well(1, 2)).items()), default=str) for p in Phase]
    for one, other in itertools.combinations(pictures, 2):
        assert one != other


def test_reasons_are_words_that_kubernetes_accepts():
    for reason in Reason:
        assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", reason.value)
        assert reason.description.endswith(".")


def test_the_figures_of_a_verification_stay_while_its_version_is_wanted():
    before = {"verification": {"version": 2, "passed": True, "casesTotal": 3}}

    def figures(phase: Phase, wanted: ModelVersion = TWO, **seen: Any) -> Any:
        goal, facts = Goal(wanted=wanted, attempt="a"), replace(FACTS, live=before)
        return status(facts, goal, STATES[phase], replace(well(1, 2), **seen)).get("verification")

    gone = Verdict(False, Reason.VERIFICATION_FAILED, "its pod is gone", conclusive=False, version=2)
    for phase in (Phase.SHIFT, Phase.SETTLE, Phase.STABLE):
        assert figures(phase) == figures(phase, verdict=gone) == before["verification"]
    assert figures(Phase.STABLE, wanted=ONE) is None
    assert figures(Phase.VERIFY) is None, "they may be those of an earlier attempt"
    new = Verdict(True, Reason.READY, "", version=2, details={"passed": True, "casesTotal": 4})
    assert figures(Phase.STABLE, verdict=new)["casesTotal"] == 4


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


def test_a_classifier_is_available_while_the_fallback_answers_for_the_new_version():
    state = replace(STATES[Phase.SETTLE], attempt="a", unavailable_since=1.0)
    seen = well(1, 2)
    versions = {**seen.versions, 2: replace(seen.versions[2], ready_pods=0, complete=False)}
    seen = replace(seen, versions=versions, gateways=gateways(NOT_READ))
    assert not said(state, seen)["Available"][0]
    told = said(replace(state, fallback=1), seen)
    assert (told["Available"][0], told["Ready"][0]) == (True, False)
    available = conditions(GOAL, replace(state, fallback=1), seen)[0]
    assert available.message == "Version 1 answers requests in place of version 2."


@pytest.mark.parametrize(("percent", "version"), [(0, 1), (10, 1), (50, 1), (51, 2), (90, 2)])
def test_an_autoscaler_reads_the_pods_of_the_version_with_most_traffic(percent: int, version: int):
    state = replace(STATES[Phase.SHIFT], percent=percent)
    assert f"imageclassifier.dev/version={version}" in status(FACTS, GOAL, state, well(1, 2))["selector"]
