"""Request ids, links of problems, metrics and logs."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import grpc
import pytest
from flask.testing import FlaskClient

from api_answers import metric, problem
from fake_model import FakeModel
from gateway_testbed import eventually, picture
from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import CAUSES
from imageclassifier_gateway.versions.batches import picture_bytes


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
