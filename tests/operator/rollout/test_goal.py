"""The goal of a rollout, from the spec and the version that serves."""

from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import Phase, State


def classifier(**changed: Any) -> api.ImageClassifier:
    metadata = {"name": "pizza", "namespace": "food", "uid": "u", "generation": 2}
    model = {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}
    return api.parse({"metadata": metadata, "spec": {"model": model, **changed}})


SERVING = State(phase=Phase.STABLE, serving=classifier().candidate("tf:1"))


def test_other_settings_leave_the_version_that_serves_its_model_server() -> None:
    """An operator upgrade changes a default; no verification has covered the version with it."""
    more_memory = {"serving": {"resources": {"limits": {"memory": "4Gi"}}}}
    assert goal_of(classifier(**more_memory), "tf:2", SERVING).wanted.server_image == "tf:1"
    named = {"serving": {"image": "tf:3"}}
    wanted = goal_of(classifier(**named), "tf:2", SERVING).wanted
    assert wanted.server_image == "tf:3"
    assert goal_of(classifier(), "tf:2", replace(SERVING, serving=wanted)).wanted.server_image == "tf:2"


def test_a_change_of_on_inconclusive_does_not_retry_a_failed_version() -> None:
    def attempt(**rollout: Any) -> str:
        return goal_of(classifier(rollout=rollout), "tf:1", State()).attempt

    assert attempt(onInconclusive="Continue") == attempt() != attempt(minRequests=7)


@pytest.mark.parametrize("version", [1, 2])
def test_another_model_name_is_refused_while_a_version_serves(version: int) -> None:
    other = {
        "model": {"name": "salad", "version": version, "source": {"image": {"reference": "pizza:{version}"}}}
    }
    refused = goal_of(classifier(**other), "tf:1", SERVING)
    assert refused.wanted == SERVING.serving
    assert refused.refused is not None
    assert "create another ImageClassifier" in refused.refused.message
