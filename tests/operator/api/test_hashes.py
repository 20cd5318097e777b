"""The hashes that decide about restarts and retries stay the same from release to release."""

import dataclasses
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import ModelVersion, PodTemplate, contract
from imageclassifier_operator.api.model_source import ImageSource, VolumeSource
from imageclassifier_operator.api.rollout import Acceptance, AcceptanceCase, Limits, Step
from imageclassifier_operator.api.serving import Batching, ServingSettings
from imageclassifier_operator.rollout import goal_of
from imageclassifier_operator.rollout.state import State

SMALLEST: dict[str, Any] = {
    "model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}
}
FULL: dict[str, Any] = {
    "model": {
        "name": "pizza",
        "version": 7,
        "source": {"persistentVolumeClaim": {"claimName": "models", "path": "team/pizza"}},
    },
    "classes": [{"name": "not_pizza"}, {"name": "pizza", "message": "It's a pizza!"}],
    "input": {
        "height": 224,
        "width": 224,
        "dtype": "float32",
        "channels": "rgb",  # the default of earlier CRDs, which is in stored objects
        "rescaling": {"scale": "0.0078", "offset": -1},
    },
    "output": {"activation": "sigmoid"},
    "serving": {
        "image": "tensorflow/serving:2.19.0",
        "imagePullSecrets": [{"name": "registry"}],
        "resources": {"limits": {"memory": "3Gi", "nvidia.com/gpu": "1"}},
        "batching": {},
        "template": {
            "spec": {
                "nodeSelector": {"disk": "ssd"},
                "tolerations": [{"key": "gpu", "operator": "Exists"}],
            }
        },
    },
    "rollout": {
        "steps": [{"percent": 10, "durationSeconds": 60}, {"percent": 50}],
        "limits": {"p99Milliseconds": 200},
        "sticky": {"header": "X-User"},
        "acceptance": {"cases": [{"name": "a", "label": "pizza", "picture": {"base64": "AAAA"}}]},
    },
}


def parsed(spec: dict[str, Any]) -> api.ImageClassifier:
    return api.parse(
        {"metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1}, "spec": spec}
    )


def hashes(ic: api.ImageClassifier) -> dict[str, str]:
    version = ic.candidate("tensorflow/serving:test")
    return {
        "pods": version.pod_hash,
        "input": version.input_hash,
        "source": version.source_hash,
        "attempt": goal_of(ic, "tensorflow/serving:test", State()).attempt,
    }


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            SMALLEST,
            {
                "pods": "e18692e4979e",
                "input": "9a4b42910db5",
                "source": "b976fbab1246",
                "attempt": "c657f96cc010",
            },
        ),
        (
            FULL,
            {
                "pods": "9d2c6ae80d71",
                "input": "5d20de2cd824",
                "source": "c112e8fa0a55",
                "attempt": "655d0d91a8cc",
            },
        ),
    ],
    ids=["smallest", "full"],
)
def test_a_release_changes_no_hash(spec: dict[str, Any], expected: dict[str, str]) -> None:
    """If a value changes here, an upgrade restarts every model server or retries every failed version.

    Those of `full` have changed once, when nodeSelector and tolerations moved to the template. Stored
    versions are read in the new form, and Deployments keep the hash of their pods.
    """
    assert hashes(parsed(spec)) == expected


def later(value: Any) -> Any:
    """`value` as a later release would have it: each of its dataclasses has two more optional settings."""
    if not dataclasses.is_dataclass(value) or value in (
        Limits(),
        Acceptance(),
        PodTemplate(),
    ):  # defaults of fields
        return type(value)(map(later, value)) if isinstance(value, tuple) else value
    kind = type(value)
    more = [("tuning", dict, dataclasses.field(default_factory=dict)), ("seconds", int, 30)]
    longer = dataclasses.make_dataclass(kind.__name__, more, bases=(kind,), frozen=True)
    result = longer(**{name: later(item) for name, item in vars(value).items()})
    if hasattr(value, "to_json"):
        stored = {**value.to_json(), "tuning": {}, "seconds": 30}
        longer.to_json = lambda self: stored
    return result


@pytest.mark.parametrize("spec", [SMALLEST, FULL], ids=["smallest", "full"])
def test_a_setting_that_a_later_release_adds_changes_no_hash_until_it_is_set(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, ic = hashes(parsed(spec)), parsed(spec)
    monkeypatch.setattr(contract, "INPUT", {**contract.INPUT, "layout": "nhwc"})
    added = dataclasses.replace(
        ic,
        model=later(ic.model),
        serving=later(ic.serving),
        rollout=later(ic.rollout),
        contract=ic.contract and {**ic.contract, "input": {**ic.contract["input"], "layout": "nhwc"}},
    )
    assert hashes(added) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"serving": ServingSettings(batching=Batching())},
        {"serving": ServingSettings(template=PodTemplate(pod={"priorityClassName": "high"}))},
        {"serving": ServingSettings(template=PodTemplate(pod={"securityContext": {}}))},
        {"source": ImageSource("pizza-model:2")},
        {"source": ImageSource("pizza-model:1", pull_policy="Always")},
        {"source": VolumeSource("pizza-model:1", "pizza")},
        {"version": 2},
    ],
)
def test_a_setting_that_is_set_changes_the_hash_of_the_pods(changed: dict[str, Any]) -> None:
    version = ModelVersion(1, "pizza", ImageSource("pizza-model:1"), ServingSettings(), None, "tf")
    assert dataclasses.replace(version, **changed).pod_hash != version.pod_hash


def test_a_token_for_a_retry_is_another_attempt_and_one_for_a_promotion_is_not() -> None:
    def attempt(**rollout: Any) -> str:
        return hashes(parsed({**SMALLEST, "rollout": rollout}))["attempt"]

    assert attempt() == attempt(promoteToken="a") == attempt(retryToken="")
    assert len({attempt(), attempt(retryToken="a"), attempt(retryToken="b")}) == 3


def test_rules_that_are_set_to_their_default_are_the_same_rules() -> None:
    """The API server fills in the defaults of the CRD, in objects that were stored before it had them."""
    defaults = {"minRequests": 50, "limits": {"errorRateIncrease": "1.0%"}, "acceptance": {"cases": []}}
    assert hashes(parsed({**SMALLEST, "rollout": defaults})) == hashes(parsed(SMALLEST))
    others = [
        {"steps": [{"percent": 10, "durationSeconds": Step(10).duration_seconds}]},
        {"acceptance": {"minPassPercent": Acceptance().min_pass_percent - 1}},
        {"shadow": {"percent": 5}},
        {"sticky": {"cookie": "user"}},
        {"acceptance": {"cases": [{"name": "a", "label": "b", "picture": {"url": "http://x/"}}]}},
    ]
    attempts = {hashes(parsed({**SMALLEST, "rollout": rollout}))["attempt"] for rollout in [{}, *others]}
    assert len(attempts) == len(others) + 1
    assert AcceptanceCase("a", "b", url="http://x/").min_probability_percent is None
