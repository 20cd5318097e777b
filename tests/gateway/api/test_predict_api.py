"""`POST /predict` and TensorFlow Serving's REST form, as the Flask application answers them."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import grpc
import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from gateway_testbed import CONTRACT, FakeModel, eventually, picture, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.api.early_refusals import early_refusals
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.gateway import Gateway, build_gateway
from imageclassifier_gateway.limits.admission import Admission, Slow
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import CAUSES, Problem
from imageclassifier_gateway.versions.batches import picture_bytes


@pytest.fixture
def timeout_seconds() -> float:
    """The deadline of requests. A test about it has a shorter one as its parameter."""
    return 60


@pytest.fixture
def settings(tmp_path: Path, timeout_seconds: float) -> Settings:
    return Settings(routing_file=tmp_path / "routing.json", timeout_seconds=timeout_seconds)


@pytest.fixture
def gateway(settings: Settings) -> Iterator[Gateway]:
    gateway = build_gateway(settings)
    yield gateway
    gateway.stop()


@pytest.fixture
def client(gateway: Gateway, model: FakeModel) -> FlaskClient:
    write_atomically(gateway.settings.routing_file, routing(model))
    app = create_app(gateway)
    gateway.start()
    eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
    return app.test_client()


def problem(answer: Any, status: int, cause: str) -> str:
    """Checks that an answer is a problem document, and returns its detail."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    document = answer.get_json(force=True)
    assert document["status"] == status
    assert document["type"] == f"tag:imageclassifier.dev,2026:{cause}"
    assert document["request_id"] == answer.headers["X-Request-ID"]
    return str(document["detail"])


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


def client_of(gateway: Gateway, model: FakeModel, **model_input: Any) -> FlaskClient:
    """A client of a gateway whose model has this input."""
    model.contract = {**CONTRACT, "input": model_input}
    write_atomically(gateway.settings.routing_file, routing(model))
    gateway.start()
    eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
    return create_app(gateway).test_client()


def test_as_many_pictures_as_a_request_may_have_fit_into_memory_with_a_large_input(
    gateway: Gateway, model: FakeModel
) -> None:
    large = ModelInput(height=456, width=456, dtype="float32")
    count = gateway.settings.max_pictures
    assert count * picture_bytes(large) > gateway.settings.max_buffered_bytes
    client = client_of(gateway, model, height=456, width=456, dtype="float32")
    files = {f"file{i}": (io.BytesIO(picture("red")), f"{i}.jpg") for i in range(count)}
    results = client.post("/predict", data=files).get_json()["results"]
    assert [each["label"] for each in results] == ["pizza"] * count
    # Larger inputs go to the model in smaller batches.
    assert {each.inputs["pixels"].tensor_shape.dim[0].size for each in model.requests} == {4}


def test_what_can_never_fit_into_memory_is_too_large_and_not_worth_another_try(
    gateway: Gateway, model: FakeModel
) -> None:
    client = client_of(gateway, model, height=4096, width=4096, dtype="float32")
    answer = client.post("/predict", data=picture())
    assert "Send fewer or smaller pictures" in problem(answer, 413, "too-large")
    assert "Retry-After" not in answer.headers


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


@pytest.mark.parametrize("timeout_seconds", [10])
def test_a_url_that_takes_all_the_time_it_gets_spoils_that_picture_only(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, deadline: Deadline, hold: Callable[[int], None]) -> bytes:
        if "dripping" not in url:
            return picture("red")
        time.sleep(deadline.remaining_seconds())
        raise FetchError("url-not-fetched", "timeout", "example.org did not send the whole picture in time.")

    monkeypatch.setattr(gateway.fetcher, "fetch", fetch)
    urls = ["https://example.org/pizza.jpg", "https://example.org/dripping"]
    results = client.post("/predict", json={"urls": urls}).get_json()["results"]
    assert results[0]["label"] == "pizza"
    assert "in time" in results[1]["error"]["detail"]


def test_slow_urls_leave_places_to_requests_that_are_all_there(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    fetching = threading.Semaphore(0)

    def fetch(url: str, deadline: object, hold: Callable[[int], None]) -> bytes:
        fetching.release()
        assert released.wait(60)
        return picture("red")

    def ask(site: int) -> Any:
        url = f"https://site-{site}.example/"
        return client.application.test_client().post("/predict", json={"url": url})

    monkeypatch.setattr(gateway.fetcher, "fetch", fetch)
    half = gateway.settings.max_requests_in_flight // 2
    with ThreadPoolExecutor(half) as pool:
        slow = [pool.submit(ask, site) for site in range(half)]
        try:
            assert all(fetching.acquire(timeout=60) for _ in range(half))
            assert "with URLs" in problem(ask(half), 503, "overloaded")
            with pytest.raises(Problem, match="with URLs") as refused:
                early_refusals(gateway)("/predict", b'{"url": "https://site.example/"}')
            assert refused.value.cause == "overloaded"
            assert client.post("/predict", data=picture("red")).status_code == 200
        finally:
            released.set()
        # The slow requests have freed their places. Only the model was still too slow for them.
        assert {answer.result().status_code for answer in slow} <= {200, 504}
    assert ask(0).status_code == 200


def test_a_url_of_a_site_that_has_its_share_of_places_is_refused_before_it_gets_a_thread(
    gateway: Gateway,
) -> None:
    check = early_refusals(gateway)
    busy = b'{"url": "https://a.busy.example/p.jpg"}'
    with ExitStack() as places:
        # URLs may have half of the places, and one site half of these.
        for number in range(gateway.settings.max_requests_in_flight // 4):
            check("/predict", busy)
            refusal = places.enter_context(gateway.fetcher.place([f"https://{number}.busy.example/"]))
            assert refusal(f"https://{number}.busy.example/") is None
        with pytest.raises(Problem, match=r"busy\.example") as refused:
            check("/predict", busy)
        assert refused.value.cause == "overloaded"
        for other in (
            b'{"url": "https://other.example/p.jpg"}',
            b'{"urls": ["https://a.busy.example/p.jpg"]}',  # its one result has the error
            b'{"url": "no url"}',
            b'{"image": "cGljdHVyZQ=="}',
            b"{" * 5_000,
            picture(),
        ):
            check("/predict", other)
        check("/v1/models/bench-model:predict", busy)
    check("/predict", busy)


def test_small_uploads_are_answered_while_large_ones_have_all_the_places_they_may(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, fit, size = threading.Event(), images.fit, (3_000, 3_000)
    large = io.BytesIO()
    Image.new("RGB", size).save(large, "PNG")

    def slow_fit(decoded: Image.Image, wanted: ModelInput) -> Image.Image:
        assert decoded.size != size or released.wait(60)
        return fit(decoded, wanted)

    def post(data: bytes) -> Any:
        return client.application.test_client().post("/predict", data=data)

    monkeypatch.setattr(images, "fit", slow_fit)
    quarter = Slow.COSTLY.most_of(gateway.settings.max_requests_in_flight)
    with ThreadPoolExecutor(2 * quarter) as pool:
        flood = [pool.submit(post, large.getvalue()) for _ in range(2 * quarter)]
        try:
            eventually(lambda: sum(each.done() for each in flood) >= quarter, "the others are refused")
            assert {each.result().status_code for each in flood if each.done()} == {503}
            assert post(picture("red")).status_code == 200
        finally:
            released.set()
    assert post(large.getvalue()).status_code == 200


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


@pytest.mark.parametrize(
    ("code", "status", "cause"),
    [
        (grpc.StatusCode.UNAVAILABLE, 503, "model-unavailable"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503, "overloaded"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 504, "model-timeout"),
        (grpc.StatusCode.INTERNAL, 502, "model-error"),
        (grpc.StatusCode.INVALID_ARGUMENT, 502, "model-error"),
    ],
)
def test_each_failure_of_the_model_has_its_own_problem(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode, status: int, cause: str
) -> None:
    model.fail_with = code
    answer = client.post("/predict", data=picture())
    problem(answer, status, cause)
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    "answer",
    [
        lambda pixels: np.full((len(pixels), 2), np.nan),
        lambda pixels: np.full((len(pixels), 2), 7.0),
        lambda pixels: np.full((len(pixels), 3), 0.3),
        lambda pixels: np.full((len(pixels) + 1, 2), 0.5),
        lambda pixels: np.full((2,), 0.5),
    ],
    ids=["not a number", "no probability", "a class too many", "a row too many", "no batch"],
)
def test_an_answer_that_cannot_be_right_is_never_passed_on(
    client: FlaskClient, model: FakeModel, answer: Callable[[np.ndarray], np.ndarray]
) -> None:
    model.answer = answer
    problem(client.post("/predict", data=picture()), 502, "model-error")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_a_call_that_no_server_could_begin_with_is_made_once_more(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode
) -> None:
    model.fail_with = code
    client.post("/predict", data=picture())
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "No thread is free."),
        # tensorflow/core/kernels/batching_util/shared_batch_scheduler.h
        (grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"),
    ],
)
def test_a_server_with_too_much_to_do_is_given_a_moment_before_the_second_call(
    client: FlaskClient, model: FakeModel, code: grpc.StatusCode, details: str
) -> None:
    model.fail_with, model.fail_details = code, details
    problem(client.post("/predict", data=picture()), 503, "overloaded")
    first, second = model.times
    assert second - first >= 0.05


def test_errors_that_a_retry_cannot_fix_are_not_retried(client: FlaskClient, model: FakeModel) -> None:
    model.fail_with = grpc.StatusCode.INVALID_ARGUMENT
    client.post("/predict", data=picture())
    assert len(model.requests) == 1


@pytest.mark.parametrize("timeout_seconds", [2])
def test_a_request_to_a_slow_model_ends_at_the_deadline(
    gateway: Gateway, client: FlaskClient, model: FakeModel
) -> None:
    model.delay_seconds = gateway.settings.timeout_seconds + 1
    problem(client.post("/predict", data=picture()), 504, "model-timeout")


def test_without_a_routing_file_requests_get_503_with_retry_after(gateway: Gateway) -> None:
    client = create_app(gateway).test_client()
    gateway.start()
    answer = client.post("/predict", data=picture())
    assert "not yet chosen a version" in problem(answer, 503, "not-ready")
    assert answer.headers["Retry-After"]
    assert gateway.unready_reason() is not None


def test_request_ids_and_trace_context_are_passed_through(client: FlaskClient, model: FakeModel) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = client.post(
        "/predict", data=picture(), headers={"X-Request-ID": "my-id.1", "traceparent": trace}
    )
    assert answer.headers["X-Request-ID"] == answer.get_json()["request_id"] == "my-id.1"
    assert model.metadata[0]["x-request-id"] == "my-id.1"
    assert model.metadata[0]["traceparent"] == trace


@pytest.mark.parametrize("given", ["", "a b", "x" * 200, "é", '"quoted"'])
def test_a_request_id_with_unsafe_characters_is_replaced(client: FlaskClient, given: str) -> None:
    answer = client.post("/predict", data=picture(), headers={"X-Request-ID": given})
    assert answer.status_code == 200
    assert len(answer.headers["X-Request-ID"]) == 32


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


def test_tensorflow_servings_clients_are_answered(client: FlaskClient) -> None:
    def b64(colour: str) -> dict[str, str]:
        return {"b64": base64.b64encode(picture(colour)).decode()}

    url = "/v1/models/pizza-model:predict"
    answer = client.post(url, json={"instances": [b64("red"), b64("blue")]}).get_json()
    assert [round(row[1]) for row in answer["predictions"]] == [1, 0]
    named = client.post(
        url, json={"signature_name": "serving_default", "instances": [{"image_bytes": b64("red")}]}
    )
    assert round(named.get_json()["predictions"][0][1]) == 1
    columns = client.post(url, json={"inputs": {"image": [b64("red")]}}).get_json()
    assert round(columns["outputs"][0][1]) == 1
    status = client.get("/v1/models/pizza-model").get_json()["model_version_status"]
    assert status == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    metadata = client.get("/v1/models/pizza-model/metadata").get_json()
    assert metadata["model_spec"] == {"name": "pizza-model", "signature_name": "", "version": "1"}
    assert "serving_default" in metadata["metadata"]["signature_def"]["signature_def"]


def test_tensorflow_servings_clients_may_name_the_version_that_serves_and_no_other(
    client: FlaskClient,
) -> None:
    body = {"instances": [{"b64": base64.b64encode(picture("red")).decode()}]}
    unnamed, named = "/v1/models/pizza-model", "/v1/models/pizza-model/versions/1"
    for after in ("", "/metadata"):
        assert client.get(named + after).get_json() == client.get(unnamed + after).get_json()
    predicted = client.post(f"{named}:predict", json=body)
    assert predicted.get_json() == client.post(f"{unnamed}:predict", json=body).get_json()
    for answer in (
        client.post("/v1/models/pizza-model/versions/2:predict", json=body),
        client.get("/v1/models/pizza-model/versions/2"),
        client.get("/v1/models/pizza-model/versions/2/metadata"),
    ):
        assert "Version 2 of 'pizza-model' was not found; the gateway has 1." in problem(
            answer, 404, "not-found"
        )


@pytest.mark.parametrize("path", ["/v1/models/pizza-model", "/v1/models/pizza-model/metadata"])
def test_calls_about_the_model_take_a_place_as_predictions_do(
    gateway: Gateway, model: FakeModel, path: str
) -> None:
    gateway.admission = Admission(0, 0, gateway.stats.in_flight, gateway.stats.held_bytes)
    write_atomically(gateway.settings.routing_file, routing(model))
    client = create_app(gateway).test_client()
    gateway.start()
    problem(client.get(path), 503, "overloaded")


def test_no_client_can_send_pictures_to_a_candidate(
    gateway: Gateway, make_model: Callable[..., FakeModel]
) -> None:
    serving, trial = make_model(version=1), make_model(version=2)
    write_atomically(gateway.settings.routing_file, routing(serving, trial, percents=(50, 50)))
    gateway.start()
    client = create_app(gateway).test_client()
    eventually(lambda: gateway.rollout_document()["versions"]["2"]["ready"], "version 2 is known")
    body = {"instances": [{"b64": base64.b64encode(picture("red")).decode()}]}
    for _ in range(20):
        assert client.post("/v1/models/pizza-model/versions/1:predict", json=body).status_code == 200
    refused = client.post("/v1/models/pizza-model/versions/2:predict", json=body)
    assert "version 1 is" in problem(refused, 404, "not-found")
    assert len(serving.requests) == 20
    assert not trial.requests
    assert client.get("/v1/models/pizza-model/versions/2").status_code == 200


def test_tensorflow_servings_clients_find_their_error_message(client: FlaskClient) -> None:
    body: Any
    for body in (
        {},
        {"instances": [1]},
        {"instances": []},
        {"instances": [{"b64": "?"}]},
        {"instances": [{"b64": "aGk="}], "signature_name": "describe"},
        {"inputs": {"b64": "x"}},
    ):
        answer = client.post("/v1/models/pizza-model:predict", json=body)
        assert answer.get_json(force=True)["error"] == problem(answer, 400, "bad-request")
    problem(client.post("/v1/models/other:predict", json={"instances": [{"b64": "aGk="}]}), 404, "not-found")
    problem(client.get("/v1/models/other"), 404, "not-found")


def test_the_link_of_a_problem_is_short_for_a_path_with_many_slashes(client: FlaskClient) -> None:
    refused = client.get("/x" + "/" * 8_000)
    assert refused.status_code == 404
    assert refused.headers["Link"] == '</problems#not-found>; rel="help"'


@pytest.mark.parametrize("prefix", ["", "/pizza"])
@pytest.mark.parametrize(
    "path", ["/predict", "/v1/models/pizza-model:predict", "/v1/models/pizza-model/versions/1:predict"]
)
def test_a_problem_leads_to_what_can_be_done_about_it_behind_any_path_prefix(
    client: FlaskClient, prefix: str, path: str
) -> None:
    refused = client.post(path, data=b"nonsense")
    link, _, relation = refused.headers["Link"].partition("; ")
    assert relation == 'rel="help"'
    address, _, anchor = urljoin(f"http://proxy{prefix}{path}", link.strip("<>")).partition("#")
    assert address == f"http://proxy{prefix}/problems"
    page = client.get("/problems")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    for cause in (anchor, *CAUSES):
        assert page.text.count(f'id="{cause}"') == 1
    assert "<code>spec.gateway.urls</code>" in page.text
    assert "`" not in page.text
    assert "{{" not in page.text


def test_metrics_count_what_happened(client: FlaskClient, gateway: Gateway) -> None:
    client.post("/predict", data=picture("red"))
    client.post("/predict", data=b"nonsense")
    text = gateway.stats.exposition().decode()
    for line in (
        'imageclassifier_gateway_requests_total{route="/predict",status="200"} 1.0',
        'imageclassifier_gateway_requests_total{route="/predict",status="415"} 1.0',
        'imageclassifier_gateway_errors_total{cause="not-a-picture"} 1.0',
        'imageclassifier_gateway_predictions_total{label="pizza",version="1"} 1.0',
        'imageclassifier_gateway_model_requests_total{version="1"} 1.0',
        "imageclassifier_gateway_routing_revision 1.0",
        "imageclassifier_gateway_requests_in_flight 0.0",
    ):
        assert line in text.splitlines()


def metric(gateway: Gateway, name: str) -> float:
    """The value of a metric; 0 before its first increment."""
    lines = (line.rsplit(" ", 1) for line in gateway.stats.exposition().decode().splitlines())
    return float(dict(lines).get(f"imageclassifier_gateway_{name}", 0))


def test_the_stages_of_a_request_that_fails_are_measured_too(
    client: FlaskClient, gateway: Gateway, model: FakeModel
) -> None:
    def measured() -> list[float]:
        stages = ("receive", "decode", "model", "total")
        return [metric(gateway, f'stage_duration_seconds_count{{stage="{stage}"}}') for stage in stages]

    model.fail_with = grpc.StatusCode.INTERNAL
    problem(client.post("/predict", data=picture()), 502, "model-error")
    assert measured() == [1, 1, 1, 1]
    problem(client.post("/predict", data=b"{"), 400, "bad-request")
    assert measured() == [2, 1, 1, 2]


def test_the_errors_of_single_pictures_in_a_list_are_counted(client: FlaskClient, gateway: Gateway) -> None:
    files = {
        "a": (io.BytesIO(picture()), "a.jpg"),
        "b": (io.BytesIO(b"no"), "b"),
        "c": (io.BytesIO(b""), "c"),
    }
    assert client.post("/predict", data=files).status_code == 200
    assert metric(gateway, 'errors_total{cause="not-a-picture"}') == 2


def test_what_waits_and_what_it_holds_can_be_seen(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    prepare = images.prepare

    def wait(*arguments: Any) -> Any:
        assert released.wait(60)
        return prepare(*arguments)

    monkeypatch.setattr(images, "prepare", wait)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            pool.submit(client.application.test_client().post, "/predict", data=picture())
        try:
            eventually(lambda: metric(gateway, "decodes_waiting") == 2, "one is decoded, two wait")
            pixels = picture_bytes(ModelInput(height=32, width=32))
            assert metric(gateway, "held_bytes") == 3 * (len(picture()) + pixels)
        finally:
            released.set()
    assert (metric(gateway, "decodes_waiting"), metric(gateway, "held_bytes")) == (0, 0)


def test_logs_hold_no_url_no_query_and_no_picture(
    client: FlaskClient, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    client.post("/predict?token=SECRET1", json={"url": "https://user.example/SECRET2?key=SECRET3"})
    client.post("/predict", data=b"SECRET4")
    records = "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    output = "".join(capfd.readouterr())
    assert output.count('"route": "/predict"') == 2
    assert "SECRET" not in output + records
