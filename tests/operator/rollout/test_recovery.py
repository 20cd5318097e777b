"""The recovery of a lost or edited state."""

import json
from dataclasses import replace

from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings, names
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout import routing
from imageclassifier_operator.rollout.recovery import recover
from imageclassifier_operator.rollout.state import HistoryEntry, Phase, State
from imageclassifier_operator.status.document import Facts, status


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


STATE = State(revision=4, phase=Phase.STABLE, since=1.0, serving=served(1))


def config_map(state: State) -> dict:
    text = routing.to_text(routing.routing_file("pizza", "default", state))
    return {"data": {names.ROUTING_FILE: text, names.STATE_FILE: routing.sealed(state, text)}}


def made_from(version: int, *, served_before: bool, available: int = 1) -> dict:
    annotations = {names.ANNOTATION_SERVED_VERSION: json.dumps(served(version).to_json())}
    if served_before:
        annotations[names.ANNOTATION_HAS_SERVED] = "true"
    return {"metadata": {"annotations": annotations}, "status": {"availableReplicas": available}}


def test_the_state_comes_from_an_intact_config_map():
    assert recover(config_map(STATE), None, {"servingVersion": 9}, [], 5.0) == STATE


def test_an_edited_config_map_gets_a_revision_that_no_gateway_has_seen():
    edited = config_map(STATE)
    edited["data"][names.ROUTING_FILE] = edited["data"][names.ROUTING_FILE].replace(
        '"revision":4', '"revision":40'
    )
    state = recover(edited, STATE, {}, [], 5.0)
    assert (state.revision, state.serving) == (41, served(1))


def test_a_lost_config_map_is_rebuilt_from_the_status():
    state = recover(
        None,
        None,
        {"servingVersion": 2},
        [made_from(1, served_before=True), made_from(2, served_before=False)],
        5.0,
    )
    assert state.serving == served(2)
    assert routing.shares(state) == {2: 100}


def test_a_lost_config_map_keeps_the_history_of_the_status():
    rolled_back = HistoryEntry(2, "RolledBack", 60.0, "TooSlow", "pizza@sha256:2")
    document = status(Facts("pizza", 3), None, replace(STATE, history=(rolled_back,)), Snapshot())
    state = recover(None, None, document, [made_from(1, served_before=True)], 90.0)
    assert state.history == (rolled_back,)


def test_without_config_map_and_status_only_a_version_that_has_served_is_recovered():
    deployments = [
        made_from(1, served_before=True),
        made_from(2, served_before=True),
        made_from(3, served_before=False),
        made_from(4, served_before=True, available=0),
    ]
    assert recover(None, None, {}, deployments, 5.0).serving == served(2)
    assert recover(None, None, {}, [made_from(3, served_before=False)], 5.0).serving is None


def test_equal_states_serialize_equally_regardless_of_baseline_order():
    one = replace(STATE, baseline={"a": {"1": 1}, "b": {"1": 2}})
    other = replace(STATE, baseline={"b": {"1": 2}, "a": {"1": 1}})
    assert routing.sealed(one, "x") == routing.sealed(other, "x")
