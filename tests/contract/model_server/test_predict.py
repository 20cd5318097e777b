"""Predict, Classify, Regress and metadata over gRPC: answers, and the codes and words of mistakes."""

import json
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    predict_pb2,
    regression_pb2,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
TWO = np.array([1, 2], np.float32)


def pictures(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), np.uint8)


def test_uint8_pixels_become_probabilities(server: Any) -> None:
    response = server.predict({"pixels": pictures(3)})
    output = response.outputs["probabilities"]
    assert output.dtype == types_pb2.DT_FLOAT
    assert [dim.size for dim in output.tensor_shape.dim] == [3, 2]
    assert np.reshape(output.float_val, (3, 2)).sum(axis=1) == pytest.approx(1)
    assert response.model_spec.name == "everything"
    assert response.model_spec.signature_name == "serving_default"


def test_typed_values_and_raw_content_give_the_same_answer(server: Any) -> None:
    pixels = pictures(1)
    typed = server.request({"pixels": pixels})
    typed.inputs["pixels"].tensor_content = b""
    typed.inputs["pixels"].int_val.extend(pixels.ravel().tolist())
    answers = [
        server.prediction.Predict(r).outputs["probabilities"]
        for r in (server.request({"pixels": pixels}), typed)
    ]
    assert answers[0] == answers[1]


def test_a_batch_gives_the_answers_of_its_single_pictures(server: Any) -> None:
    pixels = pictures(5)
    together = server.predict({"pixels": pixels}).outputs["probabilities"].float_val
    single = [
        server.predict({"pixels": pixels[i : i + 1]}).outputs["probabilities"].float_val for i in range(5)
    ]
    # A batch takes another kernel than one picture: it adds the 48 float32 products in another order.
    assert np.concatenate(single) == pytest.approx(np.array(together), abs=1e-5)


def test_the_highest_version_answers_when_none_is_named(server: Any) -> None:
    assert server.half_plus(4.0) == 5.0
    assert server.predict({"x": TWO}, signature="half_plus").model_spec.version.value == 2


@pytest.mark.parametrize(("version", "answer"), [(1, 4.0), (2, 5.0)])
def test_the_version_named_answers(server: Any, version: int, answer: float) -> None:
    assert server.half_plus(4.0, version=version) == answer


def test_strings_are_returned_unchanged(server: Any) -> None:
    output = server.predict({"ignored": np.zeros(2, np.int32)}, signature="contract").outputs["json"]
    assert [json.loads(text)["name"] for text in output.string_val] == ["everything", "everything"]


def test_the_output_filter_chooses_outputs(server: Any) -> None:
    inputs = {"a": TWO, "b": TWO}
    assert set(server.predict(inputs, signature="arithmetic").outputs) == {"sum", "difference"}
    response = server.predict(inputs, signature="arithmetic", outputs=("sum",))
    assert {name: list(value.float_val) for name, value in response.outputs.items()} == {"sum": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("inputs", "spec", "code", "message"),
    [
        ({"x": TWO}, {"model": ""}, INVALID, "ModelSpec has no name specified."),
        (
            {"x": TWO},
            {"model": "nothing"},
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Latest(nothing)",
        ),
        (
            {"x": TWO},
            {"version": 7},
            grpc.StatusCode.NOT_FOUND,
            "Servable not found for request: Specific(everything, 7)",
        ),
        ({"x": TWO}, {"label": "best"}, INVALID, "Unrecognized servable version label: best"),
        (
            {"x": TWO},
            {"signature": "nothing"},
            grpc.StatusCode.FAILED_PRECONDITION,
            'Serving signature key "nothing" not found.',
        ),
        (
            {"z": TWO},
            {"signature": "half_plus"},
            INVALID,
            "input tensor alias not found in signature: z. Inputs expected to be in the set {x}.",
        ),
        (
            {"a": TWO},
            {"signature": "arithmetic"},
            INVALID,
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. "
            "Missing but required: {b}.",
        ),
        (
            {"x": TWO, "z": TWO},
            {"signature": "half_plus"},
            INVALID,
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. "
            "Missing but required: {}.",
        ),
        (
            {"x": np.array([1], np.int32)},
            {"signature": "half_plus"},
            INVALID,
            "Expects arg[0] to be float but int32 is provided",
        ),
        (
            {"x": TWO},
            {"signature": "half_plus", "outputs": ("z",)},
            INVALID,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        (
            {"x": TWO},
            {"signature": "half_plus", "outputs": ("y", "y")},
            INVALID,
            "duplicate output tensor alias: y",
        ),
    ],
    ids=lambda value: next(iter(value.values()), None) if isinstance(value, dict) else None,
)
def test_an_error_has_the_words_of_tensorflow_serving(
    server: Any,
    failure: Callable[..., Any],
    inputs: dict[str, Any],
    spec: dict[str, Any],
    code: grpc.StatusCode,
    message: str,
) -> None:
    failed = failure(lambda: server.predict(inputs, **spec))
    assert (failed.code, failed.message) == (code, message)


def test_a_wrong_shape_is_the_graphs_own_error(server: Any, failure: Callable[..., Any]) -> None:
    failed = failure(lambda: server.predict({"pixels": np.zeros((1, 5, 5, 3), np.uint8)}))
    assert failed.code is INVALID
    assert "Matrix size-incompatible: In[0]: [1,75], In[1]: [48,2]" in failed.message


def test_content_of_another_size_than_its_shape_is_refused(server: Any, failure: Callable[..., Any]) -> None:
    request = server.request({"pixels": pictures(1)})
    request.inputs["pixels"].tensor_content = b"too short"
    failed = failure(lambda: server.prediction.Predict(request))
    assert failed.code is INVALID
    assert failed.message.startswith("tensor parsing error: pixels")


def test_a_request_without_a_model_spec_is_refused(server: Any, failure: Callable[..., Any]) -> None:
    for call, request in [
        (server.prediction.Predict, predict_pb2.PredictRequest()),
        (server.prediction.GetModelMetadata, get_model_metadata_pb2.GetModelMetadataRequest()),
    ]:
        failed = failure(lambda call=call, request=request: call(request))
        assert (failed.code, failed.message) == (INVALID, "Missing ModelSpec")


def test_a_mistake_does_not_harm_the_next_request(server: Any, failure: Callable[..., Any]) -> None:
    failure(lambda: server.predict({"pixels": np.zeros((1, 5, 5, 3), np.uint8)}))
    assert server.half_plus(4.0) == 5.0


def metadata_request(model: str, *fields: str) -> Any:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model
    return request


def test_metadata_lists_the_signatures_of_a_version(server: Any) -> None:
    response = server.prediction.GetModelMetadata(metadata_request("everything", "signature_def"))
    assert response.model_spec.version.value == 2
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    pixels = signatures.signature_def["serving_default"].inputs["pixels"]
    assert pixels.dtype == types_pb2.DT_UINT8
    assert [dim.size for dim in pixels.tensor_shape.dim] == [-1, 4, 4, 3]
    assert signatures.signature_def["contract"].method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((), "GetModelMetadataRequest must specify at least one metadata_field"),
        (("size",), "Metadata field size is not supported"),
    ],
)
def test_metadata_is_signatures_only(
    server: Any, failure: Callable[..., Any], fields: tuple[str, ...], message: str
) -> None:
    failed = failure(lambda: server.prediction.GetModelMetadata(metadata_request("everything", *fields)))
    assert (failed.code, failed.message) == (INVALID, message)


def with_examples(request: Any, signature: str, *values: float) -> Any:
    request.model_spec.name = "everything"
    request.model_spec.signature_name = signature
    for value in values:
        feature = request.input.example_list.examples.add().features.feature["x"]
        feature.float_list.value.append(value)
    return request


def test_examples_are_classified(server: Any) -> None:
    request = with_examples(classification_pb2.ClassificationRequest(), "classify", 0.25, 0.75)
    result = server.prediction.Classify(request).result
    answers = [[(c.label, c.score) for c in item.classes] for item in result.classifications]
    assert answers == [[("low", 0.75), ("high", 0.25)], [("low", 0.25), ("high", 0.75)]]


def test_examples_are_regressed(server: Any) -> None:
    request = with_examples(regression_pb2.RegressionRequest(), "regress", 2.0, 4.0)
    assert [item.value for item in server.prediction.Regress(request).result.regressions] == [4.0, 5.0]


def test_classify_needs_examples_and_a_signature_for_them(server: Any, failure: Callable[..., Any]) -> None:
    empty = with_examples(classification_pb2.ClassificationRequest(), "classify")
    assert failure(lambda: server.prediction.Classify(empty)).message == "Input is empty."
    wrong = with_examples(classification_pb2.ClassificationRequest(), "half_plus", 1.0)
    failed = failure(lambda: server.prediction.Classify(wrong))
    assert failed.code is INVALID
    assert failed.message.startswith("No classification inputs found in SignatureDef")
    unknown = with_examples(classification_pb2.ClassificationRequest(), "nothing", 1.0)
    assert failure(lambda: server.prediction.Classify(unknown)).message == (
        "No signature was found with the name: nothing"
    )
