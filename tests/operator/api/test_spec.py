"""Parsing a spec into values, and refusing an invalid one with a message."""

import copy
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import ImageSource, InvalidSpec, RolloutSettings, VolumeSource
from imageclassifier_operator.api.removed_fields import REMOVED_FIELDS, with_present_limits
from specs import LEGACY, body, candidate


def test_the_smallest_spec_has_a_default_for_everything_else() -> None:
    ic = api.parse(body())
    assert (ic.name, ic.namespace, ic.uid, ic.generation) == ("pizza", "food", "u-1", 4)
    assert ic.model.name == "pizza"
    assert ic.replicas == 1
    assert ic.autoscaling is None
    assert ic.contract is None
    assert ic.rollout == api.RolloutSettings()


def test_the_version_is_put_into_the_images_name() -> None:
    assert candidate().source == ImageSource("pizza-model:1")


def test_the_directory_in_a_volume_is_the_models_name_unless_said() -> None:
    claim = {"claimName": "models"}
    assert candidate(model={"version": 1, "source": {"persistentVolumeClaim": claim}}).source == VolumeSource(
        "models", "pizza"
    )
    claim["path"] = "team/pizza"
    assert candidate(model={"version": 1, "source": {"persistentVolumeClaim": claim}}).source == VolumeSource(
        "models", "team/pizza"
    )


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": {"version": 1}}, "spec.model.source has no source, or several"),
        (
            {
                "model": {
                    "version": 1,
                    "source": {"image": {"reference": "a"}, "persistentVolumeClaim": {"claimName": "b"}},
                }
            },
            "spec.model.source has no source, or several",
        ),
        ({"model": {"version": 0, "source": {"image": {"reference": "a"}}}}, "spec.model.version is 0"),
        ({"model": {"source": {"image": {"reference": "a"}}}}, "does not match this operator's CRD"),
        ({"input": LEGACY["input"]}, "spec.input needs spec.classes"),
        (
            {**LEGACY, "input": {"preprocess": "tf", "rescaling": {"scale": 2}}},
            "spec.input.preprocess and spec.input.rescaling exclude each other",
        ),
        (
            {**LEGACY, "input": {"preprocess": "caffe", "channels": "rgb"}},
            "spec.input.preprocess is caffe, which means the order bgr",
        ),
        (
            {**LEGACY, "input": {"rescaling": {"std": [1, 0, 1]}}},
            "spec.input.rescaling.std contains 0",
        ),
        (
            {**LEGACY, "input": {"rescaling": {"mean": [1, 2]}}},
            "spec.input.rescaling.mean has 2 values",
        ),
        ({"output": {}}, "for models without a contract"),
        (
            {**LEGACY, "output": {"threshold": "101%"}},
            "spec.output.threshold is 101%, which is not a percentage",
        ),
        ({**LEGACY, "output": {"threshold": 0.5}}, "spec.output.threshold is 0.5, which is not a percentage"),
        (
            {**LEGACY, "input": {**LEGACY["input"], "rescaling": {"scale": "1/0"}}},
            "spec.input.rescaling.scale is 1/0, which is not a number",
        ),
        (
            {**LEGACY, "input": {**LEGACY["input"], "rescaling": {"offset": -0.5}}},
            "spec.input.rescaling.offset is -0.5, which is not a number",
        ),
        (
            {"rollout": {"limits": {"errorRateIncrease": "1"}}},
            "spec.rollout.limits.errorRateIncrease is 1, which",
        ),
        (
            {"rollout": {"shadow": {"percent": 5, "minAgreementRate": "a%"}}},
            "spec.rollout.shadow.minAgreementRate is a%, which",
        ),
        (
            {**LEGACY, "classes": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
            "spec.classes contains the name a twice, for the outputs 0 and 2 of the model",
        ),
        ({**LEGACY, "classes": [{"name": "a"}]}, "fewer than two classes"),
        (
            {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
            "minReplicas (3) is greater",
        ),
        ({"replicas": 0}, "set spec.stopped to true"),
        ({"gateway": {"authentication": {}}}, "Set apiKeys.secretName, or remove authentication"),
        (
            {"gateway": {"authentication": {"apiKeys": {}}}},
            "Set apiKeys.secretName, or remove authentication",
        ),
        ({"serving": {"resources": {"requests": {"cpu": "fast"}}}}, "fast is not a quantity"),
        (
            {"serving": {"resources": {"limits": {"cpu": "1Ki"}}, "batching": {}}},
            "spec.serving.resources.limits.cpu is invalid: 1Ki is not a number of CPU cores",
        ),
    ],
)
def test_an_invalid_spec_is_refused_with_a_message(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        api.parse(body(**changed))
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("name", ["1pizza", "Pizza", "pizza-", "p" * 41, "p.izza"])
def test_a_name_that_no_service_can_have_is_refused(name: str) -> None:
    wrong = body()
    wrong["metadata"]["name"] = name
    with pytest.raises(InvalidSpec, match="names of Services are made from it"):
        api.parse(wrong)


OLD_SPELLINGS: dict[str, dict[str, Any]] = {
    "model.image": {"model": {"version": 1, "image": "a"}},
    "model.imagePullPolicy": {"model": {"version": 1, "imagePullPolicy": "Always"}},
    "model.imagePullSecrets": {"model": {"version": 1, "imagePullSecrets": [{"name": "a"}]}},
    "model.persistentVolumeClaim": {"model": {"version": 1, "persistentVolumeClaim": {"claimName": "a"}}},
    "threshold": {**LEGACY, "threshold": 0.5},
    "input.scale": {**LEGACY, "input": {"height": 8, "width": 8, "scale": 0.5}},
    "input.offset": {**LEGACY, "input": {"height": 8, "width": 8, "offset": -1}},
    "rollout.pause": {"rollout": {"pause": True}},
    "rollout.acceptance.cases[].minProbability": {
        "rollout": {"acceptance": {"cases": [{"name": "a", "label": "b", "minProbability": 0.5}]}}
    },
    "rollout.shadow.minAgreement": {"rollout": {"shadow": {"percent": 5, "minAgreement": 0.9}}},
    "rollout.limits.errorRate": {"rollout": {"limits": {"errorRate": 0.02}}},
    "serving.nodeSelector": {"serving": {"nodeSelector": {"disk": "ssd"}}},
    "serving.tolerations": {"serving": {"tolerations": [{"operator": "Exists"}]}},
    "serving.affinity": {"serving": {"affinity": {"podAntiAffinity": {}}}},
    "serving.priorityClassName": {"serving": {"priorityClassName": "high"}},
}


@pytest.mark.parametrize("path", REMOVED_FIELDS)
def test_an_old_spelling_in_a_stored_object_is_refused_with_the_new_name(path: str) -> None:
    with pytest.raises(InvalidSpec) as refusal:
        api.parse(body(**OLD_SPELLINGS[path]))
    assert f"spec.{path} is now spec.{REMOVED_FIELDS[path]}." in str(refusal.value)


def test_removed_fields_that_an_earlier_crd_added_by_itself_mean_the_default() -> None:
    """`kubectl apply` of a manifest without them does not remove them from a stored object."""
    plain = {**LEGACY, "rollout": {"shadow": {"percent": 5}}}
    defaulted = copy.deepcopy(plain)
    defaulted["input"] |= {"scale": 1, "offset": 0}
    defaulted["rollout"] |= {"pause": False, "limits": {"errorRate": 0.01, "errorRateIncrease": "1%"}}
    assert api.parse(body(**defaulted)) == api.parse(body(**plain))


@pytest.mark.parametrize(
    ("rollout", "increase", "agreement"),
    [
        ({}, 0.01, None),
        ({"limits": {"errorRate": 0.01, "errorRateIncrease": "3%"}}, 0.03, None),
        ({"limits": {"errorRate": 0.2, "errorRateIncrease": "1%"}}, 0.2, None),
        ({"limits": {"errorRate": 1e-05}, "shadow": {"percent": 5, "minAgreement": 0.975}}, 1e-05, 0.975),
        ({"shadow": {"percent": 5, "minAgreement": 1}}, 0.01, 1.0),
    ],
)
def test_the_limits_of_an_earlier_spelling_are_read_as_they_were(
    rollout: dict[str, Any], increase: float, agreement: float | None
) -> None:
    read = RolloutSettings.parse(with_present_limits(rollout))
    assert read.limits.error_rate_increase == increase
    assert (read.shadow and read.shadow.min_agreement_rate) == agreement


def test_parsing_leaves_the_object_as_it_was() -> None:
    original = body(**LEGACY, serving={"resources": {"limits": {"cpu": "0.5"}}})
    before = copy.deepcopy(original)
    api.parse(original)
    assert original == before


def test_every_part_of_a_rollout_is_read() -> None:
    rollout = {
        "progressDeadlineSeconds": 60,
        "keepPreviousSeconds": 30,
        "paused": True,
        "allowClassChange": True,
        "acceptance": {
            "minPassPercent": 50,
            "cases": [
                {"name": "a", "label": "pizza", "minProbabilityPercent": 90, "picture": {"base64": "AAAA"}},
                {"name": "b", "label": "pizza", "picture": {"url": "https://example.org/b.jpg"}},
                {
                    "name": "c",
                    "label": "not_pizza",
                    "picture": {"configMapKeyRef": {"name": "pictures", "key": "c.jpg"}},
                },
            ],
        },
        "steps": [{"percent": 10, "durationSeconds": 5}, {"percent": 50}],
        "minRequests": 7,
        "onInconclusive": "Continue",
        "sticky": {"cookie": "session"},
        "shadow": {"percent": 20, "minAgreementRate": "95%", "minCompared": 40},
        "limits": {"errorRateIncrease": "5%", "p99Milliseconds": 900},
    }
    assert api.parse(body(rollout=rollout)).rollout == api.RolloutSettings(
        progress_deadline_seconds=60,
        keep_previous_seconds=30,
        paused=True,
        allow_class_change=True,
        acceptance=api.Acceptance(
            (
                api.AcceptanceCase("a", "pizza", 90, base64="AAAA"),
                api.AcceptanceCase("b", "pizza", url="https://example.org/b.jpg"),
                api.AcceptanceCase("c", "not_pizza", config_map_key=api.ConfigMapKey("pictures", "c.jpg")),
            ),
            50,
        ),
        steps=(api.Step(10, 5), api.Step(50)),
        min_requests=7,
        on_inconclusive="Continue",
        sticky=api.Sticky("cookie", "session"),
        shadow=api.Shadow(20, 0.95, 40),
        limits=api.Limits(0.05, 900),
    )
