"""The Open Inference Protocol V2 over REST, as a real gateway process answers it."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from typing import Any

import pytest

from gateway_process import Answer, GatewayProcess, request
from gateway_testbed import picture

INFER = "/v2/models/pizza-model/infer"


def encoded(colour: str = "red") -> str:
    return base64.b64encode(picture(colour)).decode()


def tensor(*data: Any, **more: Any) -> dict[str, Any]:
    return {"name": "image", "datatype": "BYTES", "shape": [len(data)], "data": list(data), **more}


def infer(gateway: GatewayProcess, document: Any, path: str = INFER) -> Answer:
    return request(gateway.port, "POST", path, json.dumps(document), {"Content-Type": "application/json"})


def outputs(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {each["name"]: each for each in answer.json["outputs"]}


def test_health_and_metadata_are_those_of_the_protocol(shared_gateway: GatewayProcess) -> None:
    def get(path: str) -> Any:
        answer = request(shared_gateway.port, "GET", path)
        assert answer.status == 200
        return answer.json

    assert get("/v2")["name"] == "imageclassifier-gateway"
    assert get("/v2/health/live") == {"live": True}
    assert get("/v2/health/ready") == {"ready": True}
    for path in ("/v2/models/pizza-model", "/v2/models/pizza-model/versions/1"):
        assert get(f"{path}/ready") == {"name": "pizza-model", "ready": True}
        described = get(path)
        assert (described["name"], described["versions"]) == ("pizza-model", ["1"])
        assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
        assert described["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}


@pytest.mark.parametrize("path", [INFER, "/v1/models/pizza-model:predict", "/predict"])
@pytest.mark.parametrize("coding", ["gzip", "DEFLATE", "identity, br"])
def test_a_compressed_body_is_refused_with_what_to_do(
    shared_gateway: GatewayProcess, path: str, coding: str
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = request(shared_gateway.port, "POST", path, gzip.compress(b'{"inputs": []}'), headers)
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert answer.json["type"] == "tag:imageclassifier.dev,2026:compressed-body"
    assert f"compressed with '{coding.lower().split()[-1]}'. Send it uncompressed" in answer.json["detail"]


@pytest.mark.parametrize("coding", ["identity", "utf-8", ""])
def test_a_content_encoding_that_changes_no_bytes_is_ignored(
    shared_gateway: GatewayProcess, coding: str
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    document = json.dumps({"inputs": [tensor(encoded())]})
    assert request(shared_gateway.port, "POST", INFER, document, headers).status == 200


def test_pictures_in_base64_get_probabilities_and_labels(shared_gateway: GatewayProcess) -> None:
    answer = infer(shared_gateway, {"id": "42", "inputs": [tensor(encoded(), encoded("blue"))]})
    found = outputs(answer)
    assert found["label"] == {
        "name": "label", "datatype": "BYTES", "shape": [2], "data": ["pizza", "not_pizza"],
    }  # fmt: skip
    assert found["probabilities"]["shape"] == [2, 2]
    assert [round(value) for value in found["probabilities"]["data"]] == [0, 1, 1, 0]
    assert (answer.json["model_name"], answer.json["model_version"], answer.json["id"]) == (
        "pizza-model", "1", "42",
    )  # fmt: skip


def test_the_response_has_only_the_outputs_that_the_client_wants(shared_gateway: GatewayProcess) -> None:
    wanted = {"inputs": [tensor(encoded())], "outputs": [{"name": "label"}]}
    assert set(outputs(infer(shared_gateway, wanted))) == {"label"}


@pytest.mark.parametrize("colours", [["red"], ["red", "blue", "red"]])
def test_the_binary_extension_sends_the_files_as_they_are(
    shared_gateway: GatewayProcess, colours: list[str]
) -> None:
    """As tritonclient.http sends a BYTES tensor, without a Content-Type."""
    files = [picture(colour) for colour in colours]
    binary = b"".join(struct.pack("<I", len(file)) + file for file in files)
    described = tensor(parameters={"binary_data_size": len(binary)}) | {"shape": [len(files), 1]}
    del described["data"]
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    answer = request(
        shared_gateway.port,
        "POST",
        INFER,
        head + binary,
        {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
    )
    expected = ["pizza" if colour == "red" else "not_pizza" for colour in colours]
    assert outputs(answer)["label"]["data"] == expected


@pytest.mark.parametrize(
    ("document", "status", "sentence"),
    [
        # The sample of KServe's documentation for a model of iris.
        (
            {
                "inputs": [
                    {"name": "input-0", "shape": [1, 4], "datatype": "FP32", "data": [[6.8, 2.8, 4.8, 1]]}
                ]
            },
            400,
            "takes no pixel values",
        ),
        ({"instances": [[6.8, 2.8, 4.8, 1.4]]}, 400, "'inputs' must be a list of one tensor"),
        ({"inputs": []}, 400, "'inputs' must be"),
        ({"inputs": [tensor(1)]}, 400, "must be a picture in base64"),
        ({"inputs": [tensor("b'abc'")]}, 400, "Python's notation"),
        ({"inputs": [tensor()]}, 400, "has no picture"),
        ({"inputs": [tensor("aaaa", shape=[2])]}, 400, "Send the shape [1]"),
        ({"inputs": [tensor("aaaa", shape="x")]}, 400, "Send the shape [1]"),
        ({"inputs": [tensor("aaaa")]}, 415, "inputs[0].data[0]"),
        ({"inputs": [tensor(*["aaaa"] * 33)]}, 413, "at most 32"),
        ({"inputs": [tensor("aaaa")], "outputs": [{"name": "scores"}]}, 400, "'probabilities' and 'label'"),
        ({"inputs": [tensor("aaaa")], "outputs": 7}, 400, "'probabilities' and 'label'"),
        ({"inputs": [tensor(parameters={"binary_data_size": 7})]}, 400, "binary_data_size"),
    ],
)
def test_a_request_that_cannot_be_read_says_what_to_send(
    shared_gateway: GatewayProcess, document: Any, status: int, sentence: str
) -> None:
    answer = infer(shared_gateway, document)
    assert answer.status == status
    # Clients of the protocol show the field `error`.
    assert sentence in answer.json["error"]


def test_millions_of_empty_elements_are_refused_unread(shared_gateway: GatewayProcess) -> None:
    described = tensor(parameters={"binary_data_size": 8_000_000})
    head = json.dumps({"inputs": [described]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = request(shared_gateway.port, "POST", INFER, head + bytes(8_000_000), headers)
    assert answer.status == 413
    assert "send at most 32" in answer.json["error"]


@pytest.mark.parametrize("length", ["-1", "x", "99999", "٣", "9" * 20])
def test_a_wrong_length_of_the_json_is_refused(shared_gateway: GatewayProcess, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length.encode("utf-8").decode("latin-1")}
    assert request(shared_gateway.port, "POST", INFER, b"{}", headers).status == 400


@pytest.mark.parametrize(
    "path", ["/v2/models/other", "/v2/models/pizza-model/versions/2", "/v2/models/other/ready"]
)
def test_an_unknown_model_or_version_is_not_found(shared_gateway: GatewayProcess, path: str) -> None:
    answer = request(shared_gateway.port, "GET", path)
    assert answer.status == 404
    assert "pizza-model" in answer.json["error"]
