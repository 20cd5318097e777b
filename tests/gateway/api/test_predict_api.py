"""`POST /predict`: the pictures and forms that it takes, and the ones that it refuses."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from api_answers import problem
from fake_model import CONTRACT, FakeModel
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.gateway import Gateway


def test_a_raw_picture_is_answered(client: FlaskClient, model: FakeModel) -> None:
    answer = client.post("/predict", data=picture("red")).get_json()
    assert answer["prediction"] == "It's a pizza!"
    assert answer["label"] == "pizza"
    assert answer["probability"] == answer["probabilities"]["pizza"] > 0.9
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["model"] == {"name": "pizza-model", "version": 1}
    assert set(answer["timings_ms"]) == {"receive", "decode", "model", "total"}
    assert client.post("/predict", data=picture("blue")).get_json()["prediction"] == "Not a pizza."


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_each_format_is_read(client: FlaskClient, kind: str) -> None:
    assert client.post("/predict", data=picture("red", kind=kind)).get_json()["label"] == "pizza"


def test_curls_own_content_type_does_not_hide_the_picture(client: FlaskClient) -> None:
    answer = client.post("/predict", data=picture("red"), content_type="application/x-www-form-urlencoded")
    assert answer.get_json()["label"] == "pizza"


def test_one_file_of_a_form_is_answered_alone_and_several_as_a_list(client: FlaskClient) -> None:
    def file(colour: str) -> tuple[io.BytesIO, str]:
        return io.BytesIO(picture(colour)), f"{colour}.jpg"

    assert client.post("/predict", data={"f": file("red")}).get_json()["label"] == "pizza"
    answer = client.post(
        "/predict", data={"a": file("red"), "b": (io.BytesIO(b"no"), "no.txt"), "c": file("blue")}
    )
    results = answer.get_json()["results"]
    assert [result["name"] for result in results] == ["red.jpg", "no.txt", "blue.jpg"]
    assert [result.get("label") for result in results] == ["pizza", None, "not_pizza"]
    assert results[1]["error"]["status"] == 415


def test_a_large_picture_has_the_same_answer_in_a_form_and_raw(client: FlaskClient) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (1200, 1600, 3), dtype=np.uint8)
    noise[..., 0] //= 8
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    assert len(buffer.getvalue()) > 1_000_000
    raw = client.post("/predict", data=buffer.getvalue()).get_json()
    formed = client.post("/predict", data={"f": (io.BytesIO(buffer.getvalue()), "large.jpg")}).get_json()
    assert formed["probabilities"] == raw["probabilities"]


def test_the_pictures_of_one_request_go_to_the_model_in_one_batch(
    client: FlaskClient, model: FakeModel
) -> None:
    files = {f"file{i}": (io.BytesIO(picture("red")), f"{i}.jpg") for i in range(5)}
    client.post("/predict", data=files)
    [request] = model.requests
    assert [dim.size for dim in request.inputs["pixels"].tensor_shape.dim] == [5, 32, 32, 3]
    assert len(request.inputs["pixels"].tensor_content) == 5 * 32 * 32 * 3
    assert request.model_spec.version.value == 1


@pytest.mark.parametrize(
    "prefix", ["", "data:image/jpeg;base64,", "data:;base64,", "data:image/png;charset=x;base64,"]
)
def test_base64_and_data_urls_are_read(client: FlaskClient, prefix: str) -> None:
    text = prefix + base64.encodebytes(picture("red")).decode()
    assert client.post("/predict", json={"image": text}).get_json()["label"] == "pizza"


def test_the_form_that_programs_send_for_a_mapping_is_answered(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.fetcher, "fetch", lambda url, deadline, hold: picture("red"))
    fetched = client.post("/predict", data={"url": "https://pictures.example/"}).get_json()
    assert fetched["label"] == "pizza"
    text = base64.b64encode(picture("red")).decode()
    assert client.post("/predict", data={"image": text}).get_json()["label"] == "pizza"
    evil = {"Origin": "https://evil.example", "Host": "gateway.example"}
    problem(
        client.post("/predict", data={"url": "https://pictures.example/"}, headers=evil),
        403,
        "cross-site-url",
    )


def test_urls_are_fetched(client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(url: str, deadline: object, hold: Callable[[int], None]) -> bytes:
        if "missing" in url:
            raise FetchError("url-not-fetched", "failed", "example.org answered with status 404.")
        return picture("red")

    monkeypatch.setattr(gateway.fetcher, "fetch", fetch)
    one = client.post("/predict", json={"url": "https://example.org/pizza.jpg"}).get_json()
    assert one["label"] == "pizza"
    assert "fetch" in one["timings_ms"]
    urls = ["https://example.org/pizza.jpg", "https://example.org/missing"]
    results = client.post("/predict", json={"urls": urls}).get_json()["results"]
    assert [result["name"] for result in results] == urls
    assert results[0]["label"] == "pizza"
    assert results[1]["error"]["detail"] == "example.org answered with status 404."
    assert "404" in problem(client.post("/predict", json={"url": urls[1]}), 422, "url-not-fetched")


def test_half_a_character_in_a_url_spoils_that_url_only(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "lone surrogate" in problem(
        client.post("/predict", json={"url": "http://a/\ud800"}), 422, "url-refused"
    )
    results = client.post("/predict", json={"urls": ["\ud83d", "ftp://a.example"]}).get_json()["results"]
    assert [result["error"]["status"] for result in results] == [422, 422]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not valid JSON"),
        (b'{"a": ' * 60_000, "not valid JSON"),
        (b'{"a": ' * 100_000, "more than 70,000 values"),
        (b"{}", "the request has none of them"),
        (b'{"url": "https://a.example", "image": "x"}', "the request has several of them"),
        (b'{"url": "https://a.example", "more": 1}', "unknown key 'more'"),
        (b'{"url": 1}', "'url' must be a non-empty string"),
        (b'{"urls": []}', "at least one URL"),
        (b'{"urls": [1]}', "urls[0]"),
        (b'{"image": "?"}', "not valid base64"),
        (b'{"image": "data:image/png,abc"}', "data URL without base64"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(
    client: FlaskClient, body: bytes, sentence: str
) -> None:
    answer = client.post("/predict", data=body, content_type="application/json")
    assert sentence in problem(answer, 400, "bad-request")


def test_unusable_pictures_are_client_errors(client: FlaskClient, settings: Settings) -> None:
    whole = picture("red", size=(640, 480), kind="PNG")
    problem(client.post("/predict", data=b""), 400, "bad-request")
    problem(client.post("/predict", data=b"hello"), 415, "not-a-picture")
    problem(client.post("/predict", data=whole[: len(whole) // 2]), 422, "broken-picture")
    problem(client.post("/predict", data=b"x" * (settings.max_image_bytes + 1)), 413, "too-large")
    problem(client.post("/predict", data=b"x" * (settings.max_body_bytes + 1)), 413, "too-large")
    problem(
        client.post("/predict", data={"no": "file"}, content_type="multipart/form-data"), 400, "bad-request"
    )
    problem(client.post("/predict", json={"urls": ["https://a.example"] * 33}), 413, "too-large")


def test_an_unknown_path_or_method_gets_a_problem_document(client: FlaskClient) -> None:
    problem(client.get("/nothing"), 404, "not-found")
    answer = client.get("/predict")
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


def test_a_legacy_model_gets_the_input_that_its_contract_describes(
    gateway: Gateway, model: FakeModel
) -> None:
    contract = {
        **CONTRACT,
        "input": {
            "height": 8,
            "width": 8,
            "tensor": "input_1",
            "dtype": "float32",
            "scale": 1 / 127.5,
            "offset": -1.0,
        },
        "output": {"tensor": "dense", "activation": "sigmoid"},
    }
    model.contract = {"input": contract["input"], "output": contract["output"]}
    model.answer = lambda pixels: np.full((len(pixels), 1), 0.75)
    document = json.loads(routing(model))
    document["versions"][0]["contract"] = contract
    write_atomically(gateway.settings.routing_file, json.dumps(document))
    client = create_app(gateway).test_client()
    gateway.start()
    answer = client.post("/predict", data=picture("#ff0000")).get_json()
    assert answer["probabilities"] == {"not_pizza": 0.25, "pizza": 0.75}
    tensor = model.requests[0].inputs["input_1"]
    values = np.frombuffer(tensor.tensor_content, np.float32).reshape(8, 8, 3)
    np.testing.assert_allclose(values[4, 4], [1.0, -1.0, -1.0], atol=0.02)


def test_the_rollout_document_reports_a_model_without_a_contract(
    gateway: Gateway, make_model: Callable[..., FakeModel]
) -> None:
    write_atomically(gateway.settings.routing_file, routing(make_model(contract=None)))
    gateway.start()
    document = eventually(
        lambda: (gateway.rollout_document()["versions"]["1"]["error"] or "").startswith(
            "The model has no signature"
        ),
        "the reason is shown",
    )
    assert document
