"""Parsing a spec into values, and refusing an invalid one with a message."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_operator import api
from imageclassifier_operator.api import ImageSource, InvalidSpec, ModelVersion, RolloutSettings, VolumeSource
from imageclassifier_operator.api.removed_fields import REMOVED_FIELDS, with_present_limits

MODEL_SERVER = "tensorflow/serving:test"


def body(**changed: Any) -> dict[str, Any]:
    """A minimal ImageClassifier with `changed` in its spec."""
    return {
        "metadata": {"name": "pizza", "namespace": "food", "uid": "u-1", "generation": 4},
        "spec": {
            "model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}},
            **changed,
        },
    }


def candidate(**changed: Any) -> ModelVersion:
    return api.parse(body(**changed)).candidate(MODEL_SERVER)


LEGACY: dict[str, Any] = {
    "classes": [{"name": "not_pizza"}, {"name": "pizza", "message": "It's a pizza!"}],
    "input": {
        "height": 224,
        "width": 224,
        "dtype": "float32",
        "rescaling": {"scale": "0.0078", "offset": -1},
    },
    "output": {"activation": "sigmoid"},
}


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
        ({"model": {"version": 1}}, "spec.model.source has no source, or two"),
        (
            {
                "model": {
                    "version": 1,
                    "source": {"image": {"reference": "a"}, "persistentVolumeClaim": {"claimName": "b"}},
                }
            },
            "spec.model.source has no source, or two",
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
        ({**LEGACY, "classes": [{"name": "a"}, {"name": "a"}]}, "the same name twice"),
        ({**LEGACY, "classes": [{"name": "a"}]}, "fewer than two classes"),
        (
            {"autoscaling": {"minReplicas": 3, "maxReplicas": 2}},
            "minReplicas (3) is greater",
        ),
        ({"replicas": 0}, "set spec.stopped to true"),
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


def test_a_model_that_does_not_describe_itself_is_described_by_the_spec() -> None:
    contract = candidate(**{**LEGACY, "output": {"activation": "sigmoid", "threshold": "70%"}}).contract
    assert contract == {
        "schema": 1,
        "name": "pizza",
        "input": {
            "height": 224,
            "width": 224,
            "resize": "bilinear",
            "fit": "squash",
            "dtype": "float32",
            "scale": 0.0078,
            "offset": -1,
        },
        "classes": [
            {"name": "not_pizza", "message": "It's not_pizza."},
            {"name": "pizza", "message": "It's a pizza!"},
        ],
        "threshold": 0.7,
        "output": {"activation": "sigmoid"},
    }


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
    "nodes": {"serving": {"nodeSelector": {"gpu": "yes"}}},
    "contract": LEGACY,
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_input_of_a_version_changes_its_hash(what: str) -> None:
    assert candidate(**CHANGES[what]).input_hash != candidate().input_hash


@pytest.mark.parametrize(
    "changed", [{"replicas": 5}, {"autoscaling": {"maxReplicas": 9}}, {"gateway": {"replicas": 7}}]
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


def test_a_scale_for_pixels_that_are_sent_as_they_are_is_refused() -> None:
    for changed in ({"rescaling": {"scale": "0.5"}}, {"preprocess": "tf"}):
        with pytest.raises(InvalidSpec, match=r"Set spec\.input\.dtype to float32"):
            candidate(**{**LEGACY, "input": {"dtype": "uint8", **changed}})


def test_classes_alone_describe_a_model_whose_signature_tells_the_rest() -> None:
    contract = candidate(classes=LEGACY["classes"]).contract
    assert contract is not None
    assert not {"height", "width", "dtype", "channels", "tensor"} & set(contract["input"])


@pytest.mark.parametrize(
    ("model_input", "expected"),
    [
        ({"preprocess": "none"}, {"scale": 1, "offset": 0}),
        ({"preprocess": "tf"}, {"scale": 1 / 127.5, "offset": -1}),
        ({"preprocess": "caffe"}, {"scale": 1, "offset": [-103.939, -116.779, -123.68], "channels": "bgr"}),
        ({"rescaling": {"scale": "1/2", "mean": ["0.5"], "std": ["0.25"]}}, {"scale": 2, "offset": -2}),
        (
            {"rescaling": {"offset": 1, "mean": [1, 2, 3], "std": [2]}},
            {"scale": 0.5, "offset": [0, -0.5, -1]},
        ),
    ],
)
def test_a_preprocessing_becomes_exact_numbers_for_each_channel(
    model_input: dict[str, Any], expected: dict[str, Any]
) -> None:
    contract = candidate(**{**LEGACY, "input": model_input}).contract
    assert contract is not None
    assert expected.items() <= contract["input"].items()


@pytest.mark.parametrize(
    ("before", "after"),
    [({"dtype": "uint8"}, {}), ({"channels": "rgb"}, {}), ({"preprocess": "tf"}, {"preprocess": "none"})],
)
def test_a_version_that_failed_is_retried_when_a_wrong_field_of_its_input_is_removed(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    one, other = (candidate(**{**LEGACY, "input": each}) for each in (before, after))
    assert one.input_hash != other.input_hash


@pytest.mark.parametrize(
    ("percentage", "expected"),
    [
        ("50%", 0.5),
        ("0.5%", 0.005),
        ("1%", 0.01),
        ("99.5%", 0.995),
        ("0%", 0.0),
        ("100.0%", 1.0),
        ("12.345%", 0.12345),
    ],
)
def test_a_percentage_is_read_exactly(percentage: str, expected: float) -> None:
    output = {"activation": "sigmoid", "threshold": percentage}
    contract = candidate(**{**LEGACY, "output": output}).contract
    assert contract is not None
    assert contract["threshold"] == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (2, 2.0),
        (-1, -1.0),
        ("-1", -1.0),
        ("0.0078", 0.0078),
        ("1/127.5", 1 / 127.5),
        ("-1/2", -0.5),
        ("1/0.25", 4.0),
    ],
)
def test_a_scale_is_the_number_nearest_to_what_is_written(written: int | str, expected: float) -> None:
    rescaled = {**LEGACY["input"], "rescaling": {"scale": written}}
    contract = candidate(**{**LEGACY, "input": rescaled}).contract
    assert contract is not None
    assert contract["input"]["scale"] == expected


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


def test_quantities_written_in_two_ways_are_the_same_settings() -> None:
    one = candidate(serving={"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}})
    other = candidate(serving={"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}})
    assert one == other


amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["1", "250m", "0.1", "2k"]),
        "memory": st.sampled_from(["1Gi", "1.5Gi", "0.1", "2k"]),
    },
)
servings = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just("server:1"),
        "imagePullPolicy": st.sampled_from(["Always", "Never"]),
        "imagePullSecrets": st.just([{"name": "s"}]),
        "resources": st.fixed_dictionaries({}, optional={"requests": amounts, "limits": amounts}),
        "batching": st.fixed_dictionaries({}, optional={"maxBatchSize": st.integers(1, 9)}),
        "nodeSelector": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        "tolerations": st.lists(st.just({"operator": "Exists"}), max_size=2),
        "affinity": st.just({"nodeAffinity": {}}),
        "priorityClassName": st.just("high"),
    },
)
sources = st.one_of(
    st.fixed_dictionaries(
        {
            "image": st.fixed_dictionaries(
                {"reference": st.sampled_from(["a", "a:{version}"])},
                optional={"pullPolicy": st.just("Always"), "pullSecrets": st.just([{"name": "s"}])},
            )
        }
    ),
    st.fixed_dictionaries(
        {
            "persistentVolumeClaim": st.fixed_dictionaries(
                {"claimName": st.just("c")}, optional={"path": st.just("x/y")}
            )
        }
    ),
)
models = st.fixed_dictionaries({"version": st.integers(1, 2_147_483_647), "source": sources})


@given(models, servings, st.booleans())
def test_a_served_version_survives_being_stored(
    model: dict[str, Any], serving: dict[str, Any], legacy: bool
) -> None:
    served = candidate(model=model, serving=serving, **(LEGACY if legacy else {}))
    restored = ModelVersion.from_json(json.loads(json.dumps(served.to_json())))
    assert restored == served
    assert (restored.input_hash, restored.source_hash) == (served.input_hash, served.source_hash)


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
