"""The status: every phase, every problem, and the rules of all conditions."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crd_schema import STATUS, complaints
from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Snapshot,
    Verdict,
)
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import HistoryEntry, Phase
from imageclassifier_operator.status.document import is_urgent, status
from imageclassifier_operator.status.phase_table import CONDITIONS
from status_examples import FACTS, GOAL, ONE, STATES, TWO, well, worlds


def test_fields_that_need_a_valid_spec_stay_while_it_is_invalid():
    before = {
        "url": "http://pizza.example.org/",
        "modelDigest": "sha256:1",
        "verification": {"version": 2, "passed": True},
        "candidateVersion": 2,
    }
    after = status(replace(FACTS, live=before), None, STATES[Phase.STABLE], well(2))
    assert {name: after.get(name) for name in before} == {**before, "candidateVersion": None}


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


@pytest.mark.parametrize(("percent", "version"), [(0, 1), (10, 1), (50, 1), (51, 2), (90, 2)])
def test_an_autoscaler_reads_the_pods_of_the_version_with_most_traffic(percent: int, version: int):
    state = replace(STATES[Phase.SHIFT], percent=percent)
    assert f"imageclassifier.dev/version={version}" in status(FACTS, GOAL, state, well(1, 2))["selector"]
