"""The REST API: paths, row and column format, and the HTTP codes and words of mistakes."""

import base64
import re
from typing import Any

import numpy as np
import pytest
import requests

PICTURE = np.arange(48).reshape(4, 4, 3).tolist()


def error(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


def predict(server: Any, body: dict[str, Any], path: str = "everything") -> Any:
    response = server.post(f"/v1/models/{path}:predict", body)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


def test_rows_are_answered_in_rows(server: Any) -> None:
    predictions = predict(server, {"instances": [PICTURE, PICTURE]})["predictions"]
    assert predictions[0] == predictions[1]
    assert sum(predictions[0]) == pytest.approx(1)


def test_columns_are_answered_in_columns(server: Any) -> None:
    rows = predict(server, {"instances": [PICTURE]})["predictions"]
    assert predict(server, {"inputs": [PICTURE]})["outputs"] == rows
    assert predict(server, {"inputs": {"pixels": [PICTURE]}})["outputs"] == rows


def test_rest_and_grpc_give_the_same_probabilities(server: Any) -> None:
    pixels = np.array([PICTURE], np.uint8)
    grpc_answer = server.predict({"pixels": pixels}).outputs["probabilities"].float_val
    rest_answer = predict(server, {"instances": [PICTURE]})["predictions"][0]
    assert np.array(rest_answer, np.float32).tolist() == list(grpc_answer)


def test_several_inputs_and_outputs_go_by_name(server: Any) -> None:
    rows = {"signature_name": "arithmetic", "instances": [{"a": 3.5, "b": 1}, {"a": 1, "b": 1}]}
    assert predict(server, rows)["predictions"] == [
        {"sum": 4.5, "difference": 2.5},
        {"sum": 2.0, "difference": 0.0},
    ]
    columns = {"signature_name": "arithmetic", "inputs": {"a": [3.5], "b": [1]}}
    assert predict(server, columns)["outputs"] == {"sum": [4.5], "difference": [2.5]}


def test_the_name_of_the_output_distinguishes_text_from_bytes(server: Any) -> None:
    body: dict[str, Any] = {"signature_name": "echo", "instances": ["abc", "d"]}
    encoded = [base64.b64encode(text).decode() for text in (b"abc", b"d")]
    assert predict(server, body)["predictions"] == [
        {"text": "abc", "data_bytes": {"b64": encoded[0]}},
        {"text": "d", "data_bytes": {"b64": encoded[1]}},
    ]
    body = {"signature_name": "echo", "instances": [{"b64": base64.b64encode(b"\xff\x00").decode()}]}
    assert predict(server, body)["predictions"][0]["data_bytes"] == {
        "b64": base64.b64encode(b"\xff\x00").decode()
    }


@pytest.mark.parametrize(("path", "answer"), [("everything/versions/1", 4.0), ("everything", 5.0)])
def test_a_path_can_name_the_version(server: Any, path: str, answer: float) -> None:
    body = {"signature_name": "half_plus", "instances": [4.0]}
    assert predict(server, body, path)["predictions"] == [answer]


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("nothing:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(nothing)"),
        (
            "everything/versions/7:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(everything, 7)",
        ),
        (
            "everything/labels/best:predict",
            {"instances": [1]},
            400,
            "Unrecognized servable version label: best",
        ),
        (
            "everything:predict",
            {"signature_name": "nothing", "instances": [1]},
            400,
            'Serving signature name: "nothing" not found in signature def',
        ),
        ("everything:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        (
            "everything:predict",
            {"signature_name": "half_plus", "instances": ["a"]},
            400,
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"a\" "
            "Type: String is not of expected type: float",
        ),
        (
            "everything:predict",
            {"signature_name": "arithmetic", "inputs": {"a": [1]}},
            400,
            "Missing named input: b in 'inputs' object.",
        ),
        (
            "everything:predict",
            {"signature_name": "half_plus", "inputs": [1, [2]]},
            400,
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        ("everything:forecast", {}, 400, "Malformed request: POST /v1/models/everything:forecast"),
    ],
)
def test_a_mistake_has_its_http_code_and_words(
    server: Any, path: str, body: Any, code: int, message: str
) -> None:
    assert error(server.post(f"/v1/models/{path}", body)) == (code, message)


def test_a_value_of_the_wrong_type_is_shown(server: Any) -> None:
    picture = np.zeros((4, 4, 3)).tolist()
    code, message = error(server.post("/v1/models/everything:predict", {"instances": [picture]}))
    assert code == 400
    assert message.endswith("JSON Value: 0.0 Type: Number is not of expected type: uint8")


def test_a_body_that_is_not_json_is_refused(server: Any) -> None:
    url = f"http://{server.rest_address}/v1/models/everything:predict"
    code, message = error(requests.post(url, data=b"{not json", timeout=60))
    assert code == 400
    assert message.startswith("JSON Parse error: ")
    assert error(requests.post(url, data=b"", timeout=60)) == (400, "JSON Parse error: The document is empty")


def test_status_lists_versions_highest_first(server: Any) -> None:
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.get("/v1/models/everything").json() == {
        "model_version_status": [{"version": "2", **available}, {"version": "1", **available}]
    }
    one = server.get("/v1/models/everything/versions/1").json()
    assert one == {"model_version_status": [{"version": "1", **available}]}
    assert error(server.get("/v1/models/nothing")) == (404, "Could not find any versions of model nothing")
    assert error(server.get("/v1/models/everything/versions/7")) == (
        404,
        "Could not find version 7 of model everything",
    )


def test_metadata_lists_the_signatures(server: Any) -> None:
    document = server.get("/v1/models/everything/versions/1/metadata").json()
    assert document["model_spec"] == {"name": "everything", "signature_name": "", "version": "1"}
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["pixels"]["dtype"] == "DT_UINT8"
    assert [dim["size"] for dim in signature["inputs"]["pixels"]["tensor_shape"]["dim"]] == [
        "-1",
        "4",
        "4",
        "3",
    ]


def test_examples_are_classified_and_regressed(server: Any) -> None:
    body = {"signature_name": "classify", "examples": [{"x": 0.25}]}
    response = server.post("/v1/models/everything:classify", body)
    assert response.json() == {"results": [[["low", 0.75], ["high", 0.25]]]}
    body = {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": 4.0}]}
    assert server.post("/v1/models/everything:regress", body).json() == {"results": [4.0, 5.0]}


def test_other_paths_are_not_found(server: Any) -> None:
    assert server.get("/").status_code == 404


def metric(server: Any, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    total = 0.0
    for line in server.get("/metrics").text.splitlines():
        matched = re.fullmatch(r"(?P<name>[^{#]+)\{(?P<labels>.*)\} (?P<value>\S+)", line)
        if matched and matched["name"] == name:
            found = dict(re.findall(r'(\w+)="([^"]*)"', matched["labels"]))
            total += float(matched["value"]) if labels.items() <= found.items() else 0
    return total


def test_metrics_count_requests_under_tensorflow_servings_names(server: Any) -> None:
    def counts() -> list[float]:
        return [
            metric(server, ":tensorflow:serving:request_count", model_name="everything", status="OK"),
            metric(
                server,
                ":tensorflow:serving:request_count",
                model_name="everything",
                status="INVALID_ARGUMENT",
            ),
            metric(server, ":tensorflow:serving:request_latency_count", API="Predict", entrypoint="GRPC"),
            metric(server, ":tensorflow:serving:runtime_latency_count", API="Predict", runtime="TF1"),
        ]

    before = counts()
    server.half_plus(1.0)
    server.post("/v1/models/everything:predict", {})
    assert [after - count for after, count in zip(counts(), before, strict=True)] == [1, 1, 1, 1]


def test_warmup_requests_were_replayed_before_the_model_served(server: Any, directory: Any) -> None:
    path = f"{directory}/models/warm/1"
    read = metric(server, ":tensorflow:serving:model_warmup_records_read", model_path=path, status="OK")
    loads = metric(server, ":tensorflow:serving:model_warmup_latency_count", model_path=path, status="OK")
    assert loads >= 1
    assert read == 2 * loads  # the file holds two requests
