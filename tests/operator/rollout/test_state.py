"""The state of a rollout as JSON."""

import json
from dataclasses import replace

from imageclassifier_operator.rollout.figures import Window
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.state import Phase, State
from simulated_cluster import served


def test_the_state_survives_its_json():
    state = replace(
        State(revision=3, phase=Phase.SHIFT, since=12.5, serving=served(1), candidate=served(2)),
        attempt="a",
        percent=10,
        baseline={"g": {"2": {"requests": 1}}},
        reference=Reference(Window(30, 1, {0.1: 20, float("inf"): 30}), Window(900, 2, {float("inf"): 900})),
    )
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state
