"""The contract that a spec gives to a model that does not describe itself."""

from typing import Any

import pytest

from imageclassifier_operator.api import InvalidSpec
from specs import LEGACY, candidate


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
