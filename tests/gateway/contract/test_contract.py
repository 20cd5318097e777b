"""A contract is parsed strictly, survives a round trip, and its decision rule is applied."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageclassifier_gateway.contract import (
    CHANNELS,
    FITS,
    PROFILES,
    RESIZES,
    Contract,
    ContractError,
    Decoding,
    Golden,
    GoldenCase,
    ModelClass,
    ModelInput,
    ModelOutput,
    parse_contract,
    parse_golden,
)

SIZE = {"height": 9, "width": 9}


def document(**changes: Any) -> dict[str, Any]:
    """The example of docs/architecture.md, with changes."""
    return {
        "schema": 1,
        "name": "pizza-model",
        "input": {"height": 224, "width": 224, "resize": "bilinear", "fit": "squash"},
        "classes": [
            {"name": "not_pizza", "message": "Not a pizza."},
            {"name": "pizza", "message": "It's a pizza!"},
        ],
        "threshold": 0.5,
        "backbone": "efficientnet_lite0",
        "metrics": {},
        "data_digest": "sha256:00",
        "created": "2026-11-23T00:00:00Z",
        **changes,
    }


names = st.text(min_size=1, max_size=12)
contracts = st.builds(
    Contract,
    name=names,
    input=st.builds(
        ModelInput,
        height=st.integers(1, 4096),
        width=st.integers(1, 4096),
        resize=st.sampled_from(RESIZES),
        fit=st.sampled_from(FITS),
        decode=st.builds(Decoding, margin=st.floats(0.5, 16), profile=st.sampled_from(PROFILES)),
        tensor=names,
        dtype=st.just("float32"),
        scale=st.floats(allow_nan=False, allow_infinity=False),
        offset=st.floats(allow_nan=False, allow_infinity=False),
        channels=st.sampled_from(CHANNELS),
    ),
    classes=st.lists(
        st.builds(ModelClass, name=names, message=names), min_size=2, unique_by=lambda c: c.name
    ).map(tuple),
    threshold=st.floats(0, 1),
    output=st.builds(ModelOutput, tensor=names, activation=st.just("none")),
    backbone=names,
    metrics=st.dictionaries(names, st.integers()),
    data_digest=names,
    created=names,
)


@settings(deadline=None)
@given(contracts)
def test_what_is_written_is_read_back_the_same(contract: Contract) -> None:
    assert parse_contract(contract.to_json()) == contract
    assert parse_contract(contract.to_json()).digest == contract.digest


def test_the_documented_example_is_written_as_documented() -> None:
    contract = parse_contract(json.dumps(document()))
    assert contract.to_dict() == document()
    assert contract.class_names == ("not_pizza", "pizza")


def test_a_model_without_decode_is_prepared_as_when_it_was_trained() -> None:
    decode = parse_contract(document()).input.decode
    assert (decode.version, decode.margin, decode.profile) == (1, 2.0, "ignore")


def test_a_contract_says_how_its_pictures_are_prepared() -> None:
    decode = {"version": 1, "margin": 1.33, "profile": "srgb"}
    described = {**document()["input"], "decode": decode}
    contract = parse_contract(document(input=described))
    assert contract.input.decode == Decoding(margin=1.33, profile="srgb")
    assert contract.to_dict()["input"] == described
    assert contract.digest != parse_contract(document()).digest


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    turned = dict(reversed(document().items()))
    assert parse_contract(turned).digest == parse_contract(document()).digest
    assert parse_contract(document(threshold=0.6)).digest != parse_contract(document()).digest


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema": 2}, "schema 2"),
        ({"input": {"height": 224}}, "input lacks 'width'"),
        ({"input": {"height": 0, "width": 9}}, r"input\.height must be a whole number"),
        ({"input": {"height": 224.0, "width": 9}}, r"input\.height must be a whole number"),
        ({"input": {"height": 9, "width": 9, "resize": "cubic"}}, r"input\.resize must be one of nearest"),
        ({"input": {"height": 9, "width": 9, "scaling": 2}}, "unknown key 'scaling'"),
        ({"input": {"height": 9, "width": 9, "scale": 2}}, "need an input.dtype such as 'float32'"),
        ({"input": {"height": 9, "width": 9, "dtype": "int8"}}, r"input\.dtype must be one of"),
        ({"input": {**SIZE, "decode": {"version": 2}}}, "prepares pictures by version 1 only. Update"),
        ({"input": {**SIZE, "decode": {"version": True}}}, "input.decode.version is True"),
        (
            {"input": {**SIZE, "decode": {"margin": 0.1}}},
            r"decode\.margin must be between 0\.5 and 16",
        ),
        ({"input": {**SIZE, "decode": {"profile": "p3"}}}, r"input\.decode\.profile must be one of ignore"),
        ({"input": {**SIZE, "decode": {"scale": 2}}}, "input.decode has the unknown key 'scale'"),
        ({"input": {**SIZE, "decode": "fast"}}, r"input\.decode must be an object"),
        ({"classes": [{"name": "pizza"}]}, "at least two"),
        ({"classes": [{"name": "a"}, {"name": "a"}]}, "'a' more than once"),
        ({"classes": [{"name": "a"}, {}]}, r"classes\[1\] lacks 'name'"),
        ({"classes": "pizza"}, "classes must be a list"),
        ({"threshold": 1.5}, "threshold must be between 0 and 1"),
        ({"threshold": True}, "threshold must be a number"),
        ({"threshold": math.nan}, "threshold must be between"),
        ({"output": {"activation": "relu"}}, r"output\.activation must be one of none, sigmoid"),
        (
            {"input": {"height": 9, "width": 9, "dtype": "float32", "scale": [1, 2]}},
            r"input\.scale has 2 values, but the input has 3 channels",
        ),
        ({"input": {"height": 9, "width": 9, "batch": 0}}, r"input\.batch must be a whole number from 1"),
        ({"name": 7}, "name must be a string"),
    ],
)
def test_an_error_names_the_path_of_the_invalid_value(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ContractError, match=sentence):
        parse_contract(document(**changes))


def test_two_classes_need_a_threshold_and_more_do_not() -> None:
    two = document()
    del two["threshold"]
    with pytest.raises(ContractError, match="lacks 'threshold'"):
        parse_contract(two)
    del two["classes"]
    parse_contract({**two, "classes": [{"name": name} for name in "abc"]})


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"', "[" * 100_000])
def test_text_other_than_a_json_object_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        parse_contract(text)
    with pytest.raises(ContractError):
        parse_golden(text)


def test_a_class_without_a_message_is_answered_by_its_name() -> None:
    assert parse_contract(document(classes=[{"name": "a"}, {"name": "b"}])).classes[1].message == "b"


def test_the_second_of_two_classes_is_answered_from_its_threshold_on() -> None:
    contract = parse_contract(document(threshold=0.7))
    assert contract.decide([0.3, 0.7]).message == "It's a pizza!"
    below = contract.decide([0.31, 0.69])
    assert (below.label, below.probability) == ("not_pizza", 0.31)
    assert below.probabilities == {"not_pizza": 0.31, "pizza": 0.69}


def test_with_several_classes_the_most_probable_label_is_returned_regardless_of_the_threshold() -> None:
    contract = parse_contract(document(classes=[{"name": name} for name in "abc"], threshold=0.9))
    assert contract.decide([0.2, 0.5, 0.3]).label == "b"
    assert contract.decide([0.4, 0.4, 0.2]).label == "a"


def test_a_wrong_number_of_probabilities_is_never_decided_on() -> None:
    with pytest.raises(ContractError, match="3 probabilities for 2 classes"):
        parse_contract(document()).decide([0.1, 0.2, 0.7])


def test_a_sigmoid_becomes_two_probabilities() -> None:
    contract = parse_contract(document(output={"activation": "sigmoid"}))
    for outputs in (np.array([[0.25], [1.0]], np.float32), np.array([0.25, 1.0], np.float32)):
        assert contract.probabilities(outputs).tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("activation", "outputs", "sentence"),
    [
        ("none", [[0.5, 0.2, 0.3]], "has 2 classes"),
        ("none", [[[0.5], [0.2], [0.3]]], "has 2 classes"),
        ("none", 0.5, "has 2 classes"),
        ("none", [[3.2, -1.0]], "3.2 for class 'not_pizza', which is not a probability"),
        ("none", [[0.5, math.nan]], "nan for class 'pizza'"),
        ("sigmoid", [[4.5]], "set spec.output.activation to sigmoid-on-logits"),
        ("softmax", [[4.5]], "a softmax needs one for each class"),
    ],
)
def test_an_answer_that_does_not_keep_the_contract_is_an_error(
    activation: str, outputs: Any, sentence: str
) -> None:
    with pytest.raises(ContractError, match=sentence):
        parse_contract(document(output={"activation": activation})).probabilities(np.array(outputs))


def test_rounding_just_outside_of_zero_and_one_is_forgiven() -> None:
    assert parse_contract(document()).probabilities(np.array([[-1e-7, 1 + 1e-7]])).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("activation", "outputs", "expected"),
    [
        ("none", [[0.25], [1.0]], [[0.75, 0.25], [0.0, 1.0]]),
        ("sigmoid", [[0.25, 0.5]], [[0.25, 0.5]]),
        ("softmax", [[1000.0, 1000.0], [0.0, math.log(3)]], [[0.5, 0.5], [0.25, 0.75]]),
        ("sigmoid-on-logits", [[0.0], [1000.0]], [[0.5, 0.5], [0.0, 1.0]]),
        ("sigmoid-on-logits", [[-math.log(3), 0.0]], [[0.25, 0.5]]),
        ("none", [[[[0.25, 0.75]]]], [[0.25, 0.75]]),
    ],
)
def test_columns_and_logits_become_a_probability_for_each_class(
    activation: str, outputs: Any, expected: Any
) -> None:
    contract = parse_contract(document(output={"activation": activation}))
    np.testing.assert_allclose(contract.probabilities(np.array(outputs)), expected, atol=1e-12)


def test_golden_cases_are_read_back_as_written() -> None:
    golden = Golden(0.001, (GoldenCase(b"\x89PNG", (0.25, 0.75)), GoldenCase(b"", (1.0, 0.0))))
    with pytest.raises(ContractError, match=r"cases\[1\]\.png"):
        parse_golden(golden.to_json())
    photograph = GoldenCase(b"\xff\xd8\xff\xe0", (0.5, 0.5), "sha256:00")
    kept = Golden(0.001, (golden.cases[0], photograph))
    assert parse_golden(kept.to_json()) == kept
    first, second = json.loads(kept.to_json())["cases"]
    assert set(first) == {"png", "probabilities"}
    assert set(second) == {"jpeg", "probabilities", "pixels"}


def test_golden_pictures_that_are_not_base64_are_refused() -> None:
    with pytest.raises(ContractError, match=r"cases\[0\]\.png is not base64"):
        parse_golden({"tolerance": 0.1, "cases": [{"png": "?", "probabilities": [1, 0]}]})
