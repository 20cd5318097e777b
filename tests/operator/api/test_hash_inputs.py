"""Which fields of a spec change the hashes of a version, and so its pods or its attempt."""

from typing import Any

import pytest

from imageclassifier_operator import api
from specs import LEGACY, body, candidate

CHANGES: dict[str, dict[str, Any]] = {
    "version": {"model": {"version": 2, "source": {"image": {"reference": "pizza-model:{version}"}}}},
    "image": {"model": {"version": 1, "source": {"image": {"reference": "other:{version}"}}}},
    "pull secret": {
        "model": {
            "version": 1,
            "source": {"image": {"reference": "pizza-model:{version}", "pullSecrets": [{"name": "s"}]}},
        }
    },
    "pull secret of the model server": {"serving": {"imagePullSecrets": [{"name": "s"}]}},
    "model name": {
        "model": {"name": "other", "version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}
    },
    "volume": {"model": {"version": 1, "source": {"persistentVolumeClaim": {"claimName": "c"}}}},
    "model server": {"serving": {"image": "other"}},
    "memory": {"serving": {"resources": {"limits": {"memory": "3Gi"}}}},
    "batching": {"serving": {"batching": {}}},
    "nodes": {"serving": {"template": {"spec": {"nodeSelector": {"gpu": "yes"}}}}},
    "labels": {"serving": {"template": {"metadata": {"labels": {"team": "food"}}}}},
    "variables": {"serving": {"template": {"spec": {"containers": [{"name": "model-server", "env": [{}]}]}}}},
    "contract": LEGACY,
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_input_of_a_version_changes_its_hash(what: str) -> None:
    assert candidate(**CHANGES[what]).input_hash != candidate().input_hash


@pytest.mark.parametrize(
    "changed",
    [
        {"replicas": 5},
        {"autoscaling": {"maxReplicas": 9}},
        {"gateway": {"replicas": 7}},
        {"gateway": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}},
        {"verification": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}},
    ],
)
def test_scaling_and_the_gateway_do_not_change_what_a_version_is_made_from(changed: dict[str, Any]) -> None:
    assert candidate(**changed).input_hash == candidate().input_hash


def test_another_default_model_server_does_not_change_what_a_version_is_made_from() -> None:
    ic = api.parse(body())
    assert ic.candidate("old").input_hash == ic.candidate("new").input_hash


@pytest.mark.parametrize("what", CHANGES)
def test_the_source_hash_covers_the_models_files_and_its_contract(what: str) -> None:
    same = candidate(**CHANGES[what]).source_hash == candidate().source_hash
    assert same == (what not in {"version", "image", "model name", "volume", "contract"})


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"output": {**LEGACY["output"], "threshold": "90%"}}, True),
        ({"classes": [{"name": "not_pizza", "message": "No."}, {"name": "pizza"}]}, True),
        ({"classes": [{"name": "pizza"}, {"name": "not_pizza"}]}, False),
        ({"input": {**LEGACY["input"], "rescaling": {"scale": 1, "offset": -1}}}, False),
        ({"output": {"activation": "none"}}, False),
    ],
)
def test_a_description_keeps_its_meaning_when_only_its_words_or_the_threshold_change(
    changed: dict[str, Any], same: bool
) -> None:
    before, after = candidate(**LEGACY), candidate(**{**LEGACY, **changed})
    assert (after.source_hash == before.source_hash) is same
    assert after.input_hash != before.input_hash


@pytest.mark.parametrize(
    ("before", "after"),
    [({"dtype": "uint8"}, {}), ({"channels": "rgb"}, {}), ({"preprocess": "tf"}, {"preprocess": "none"})],
)
def test_a_version_that_failed_is_retried_when_a_wrong_field_of_its_input_is_removed(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    one, other = (candidate(**{**LEGACY, "input": each}) for each in (before, after))
    assert one.input_hash != other.input_hash


def test_quantities_written_in_two_ways_are_the_same_settings() -> None:
    one = candidate(serving={"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}})
    other = candidate(serving={"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}})
    assert one == other
