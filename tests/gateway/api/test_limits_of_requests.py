"""Requests beside each other: places, memory and time, and the requests that are refused for them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from api_answers import client_of, problem
from fake_model import FakeModel
from gateway_testbed import eventually, picture
from imageclassifier_gateway.api.early_refusals import early_refusals
from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.fetching.urls import FetchError
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.limits.slow import Slow
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import Problem
from imageclassifier_gateway.versions.batches import picture_bytes


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


def test_a_small_picture_behind_a_url_is_classified_while_others_fetch_large_bodies(
    client: FlaskClient, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture("red")

    def fetch(url: str, deadline: object, hold: Callable[[int], None]) -> bytes:
        hold(430_000)  # with its pixels the request holds more than its share of the bytes for slow requests
        return data

    monkeypatch.setattr(gateway.fetcher, "fetch", fetch)
    # More would be refused, as requests that fetch leave half of the memory to others.
    large = int(0.374 * gateway.settings.max_buffered_bytes)
    with gateway.admission.enter() as others, others.fetching():
        others.hold(large)
        response = client.post("/predict", json={"url": "https://site.example/"})
    assert response.status_code == 200, response.text


def test_a_url_of_a_site_that_has_its_share_of_places_is_refused_before_it_gets_a_thread(
    gateway: Gateway,
) -> None:
    check = early_refusals(gateway)
    busy = b'{"url": "https://a.busy.example/p.jpg"}'
    with ExitStack() as places:
        # URLs may have half of the places, and one site half of these.
        for number in range(gateway.settings.max_requests_in_flight // 4):
            check("/predict", busy)
            place = places.enter_context(gateway.fetcher.place([f"https://{number}.busy.example/"]))
            assert place.refusal(f"https://{number}.busy.example/") is None
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
