"""Canary, shadow and sticky traffic, and the figures by which the operator judges a version."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from flask.testing import FlaskClient

from gateway_testbed import CONTRACT, FakeModel, eventually, picture, redness, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import Gateway, build_gateway
from imageclassifier_gateway.limits.deadline import Deadline
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.problems import Problem
from imageclassifier_gateway.versions import batches
from imageclassifier_gateway.versions.classify_request import ClassifyRequest
from imageclassifier_gateway.versions.model_server_errors import ModelTimeoutError

MakeModel = Callable[..., FakeModel]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = build_gateway(Settings(routing_file=tmp_path / "routing.json", timeout_seconds=6))
    yield gateway
    gateway.stop()


def start(gateway: Gateway, text: str, ready: int) -> FlaskClient:
    """A client of a gateway with this routing, after this many versions are ready."""
    write_atomically(gateway.settings.routing_file, text)
    client = create_app(gateway).test_client()
    gateway.start()
    eventually(
        lambda: sum(v["ready"] for v in gateway.rollout_document()["versions"].values()) == ready,
        "versions are ready",
    )
    return client


def send(client: FlaskClient, count: int, **headers: str) -> list[int]:
    """Sends this many requests, which must all succeed; returns the versions that answered."""
    answers = [client.post("/predict", data=picture(), headers=headers) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.get_json()["model"]["version"] for answer in answers]


def figures(gateway: Gateway, version: int) -> Any:
    return gateway.rollout_document()["versions"][str(version)]


def test_requests_are_shared_and_counted_by_version(gateway: Gateway, make_model: MakeModel) -> None:
    client = start(gateway, routing(make_model(version=1), make_model(version=2), percents=(60, 40)), ready=2)
    versions = send(client, 200)
    assert 40 <= versions.count(2) <= 120
    for version in (1, 2):
        document = figures(gateway, version)
        assert (
            document["requests"] == versions.count(version) == document["latency_seconds"]["buckets"]["+Inf"]
        )
        assert document["errors"] == 0
        assert document["latency_seconds"]["sum"] > 0
        counts = list(document["latency_seconds"]["buckets"].values())
        assert counts == sorted(counts)


def test_a_version_with_no_share_is_reported_on_and_gets_nothing(
    gateway: Gateway, make_model: MakeModel
) -> None:
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(100, 0)), ready=2)
    assert send(client, 50) == [1] * 50
    document = figures(gateway, 2)
    assert document["ready"]
    assert document["classes"] == ["not_pizza", "pizza"]
    assert document["contract_digest"].startswith("sha256:")
    assert (document["requests"], two.requests) == (0, [])


@pytest.mark.parametrize("sticky", ["header", "cookie"])
def test_a_user_stays_with_one_version(gateway: Gateway, make_model: MakeModel, sticky: str) -> None:
    models = (make_model(version=1), make_model(version=2))
    client = start(gateway, routing(*models, percents=(50, 50), sticky={sticky: "X-User"}), ready=2)
    seen = set()
    for user in range(20):
        if sticky == "cookie":
            client.set_cookie("X-User", f"user-{user}")
        versions = set(send(client, 5, **({"X-User": f"user-{user}"} if sticky == "header" else {})))
        assert len(versions) == 1
        seen |= versions
    assert seen == {1, 2}
    client.delete_cookie("X-User")
    assert set(send(client, 50)) == {1, 2}


def counts(gateway: Gateway, version: int) -> tuple[int, int]:
    """The requests and the errors of a version."""
    document = figures(gateway, version)
    return document["requests"], document["errors"]


each_fault = pytest.mark.parametrize(
    "fault",
    [
        {"fail_with": grpc.StatusCode.UNAVAILABLE},
        {"fail_with": grpc.StatusCode.INTERNAL},
        {"delay_seconds": 4.0},
        {"answer": lambda pixels: np.full((len(pixels), 2), np.nan)},
    ],
    ids=["unavailable", "broken", "slow", "senseless"],
)


@each_fault
def test_a_failing_candidate_is_counted_and_the_serving_version_answers_the_request(
    gateway: Gateway, make_model: MakeModel, fault: dict[str, Any]
) -> None:
    models = (make_model(version=1), make_model(version=2, **fault))
    client = start(gateway, routing(*models, percents=(0, 100)), ready=2)
    assert send(client, 3) == [1] * 3
    eventually(lambda: counts(gateway, 2) == (3, 3), "three failures")
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (3, 0)


def test_a_lost_candidate_is_not_counted_as_failing_and_the_serving_version_answers(
    gateway: Gateway, make_model: MakeModel
) -> None:
    """The node may be lost. The status of the pods shows failures of the version itself."""
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    assert send(client, 3) == [2] * 3
    two.stop()
    assert send(client, 20) == [1] * 20
    eventually(lambda: "cannot be reached" in (figures(gateway, 2)["error"] or ""), "the error is reported")
    assert send(client, 20) == [1] * 20
    assert counts(gateway, 2) == (3, 0)


def test_a_candidate_that_is_known_to_be_gone_costs_no_time(gateway: Gateway, make_model: MakeModel) -> None:
    two = make_model(version=2)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    two.stop()
    send(client, 1)
    eventually(lambda: not gateway.predictor.fleet().versions[2].state.reachable, "it is known")
    asked: list[object] = []
    gateway.predictor.fleet().versions[2].server.predict = lambda *given, **_: asked.append(given)  # type: ignore[method-assign]
    assert send(client, 5) == [1] * 5
    assert asked == []


@each_fault
def test_a_promoted_version_that_fails_is_counted_and_the_fallback_answers(
    gateway: Gateway, make_model: MakeModel, fault: dict[str, Any]
) -> None:
    new, before = make_model(version=2, **fault), make_model(version=1)
    client = start(gateway, routing(new, before, percents=(100, 0), fallback=1), ready=2)
    assert send(client, 3) == [1] * 3
    eventually(lambda: counts(gateway, 2) == (3, 3), "three failures")
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (3, 0)


def classify(gateway: Gateway, deadline: Deadline) -> int:
    """The version that answers a request with this much time left."""
    request = ClassifyRequest([picture()], deadline, hold=lambda _: None, admit_costly=lambda: None)
    return gateway.predictor.classify(gateway.predictor.fleet(), request).version


def test_a_version_that_got_too_little_time_is_not_counted_as_failing(
    gateway: Gateway, make_model: MakeModel
) -> None:
    two = make_model(version=2, delay_seconds=2.0)
    start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    with contextlib.suppress(Problem):  # the remaining time may or may not suffice for the other version
        classify(gateway, Deadline.after(0.5))
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)
    two.fail_with, two.delay_seconds = grpc.StatusCode.UNAVAILABLE, 0.0
    classify(gateway, Deadline.after(6))
    eventually(lambda: figures(gateway, 2)["errors"] == 1, "a failure that counts")


def test_the_retry_version_has_half_of_what_was_left_after_decoding(
    gateway: Gateway, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = (make_model(version=1), make_model(version=2))
    start(gateway, routing(*models, percents=(0, 100)), ready=2)
    left = [6.0]
    granted = []

    class Clock(Deadline):
        def remaining_seconds(self) -> float:
            return left[0]

    def prepare(*arguments: Any) -> np.ndarray:
        left[0] = 3.0
        return np.zeros((32, 32, 3), np.uint8)

    def ask(*arguments: Any, **options: Any) -> np.ndarray:
        granted.append(arguments[3].timeout_seconds)
        if len(granted) == 1:
            left[0] -= granted[0]
            raise ModelTimeoutError
        return np.array([[0.1, 0.9]])

    monkeypatch.setattr(images, "prepare", prepare)
    monkeypatch.setattr(batches, "predict", ask)
    assert classify(gateway, Clock(0)) == 1
    assert granted == [1.5, 1.5]


def test_nothing_is_decoded_when_the_time_is_over(
    gateway: Gateway, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(gateway, routing(model), ready=1)
    decoded: list[object] = []
    monkeypatch.setattr(images, "prepare", lambda *arguments: decoded.append(arguments))
    with pytest.raises(Problem) as raised:
        classify(gateway, Deadline.after(0))
    assert (raised.value.cause, decoded) == ("timeout", [])


def test_the_fallback_is_called_once_and_only_after_a_failure(
    gateway: Gateway, make_model: MakeModel
) -> None:
    new, before = make_model(version=2), make_model(version=1)
    client = start(gateway, routing(new, before, percents=(100, 0), fallback=1), ready=2)
    assert send(client, 3) == [2] * 3
    assert before.requests == []
    new.fail_with = before.fail_with = grpc.StatusCode.INTERNAL
    assert client.post("/predict", data=picture()).status_code == 502
    assert (len(new.requests), len(before.requests)) == (4, 1)


def test_a_serving_version_without_a_fallback_that_is_gone_answers_503_and_not_by_another(
    gateway: Gateway, make_model: MakeModel
) -> None:
    one, other = make_model(version=1, fail_with=grpc.StatusCode.UNAVAILABLE), make_model(version=2)
    client = start(gateway, routing(one, other, percents=(100, 0)), ready=2)
    assert client.post("/predict", data=picture()).status_code == 503
    assert other.requests == []


def test_client_errors_do_not_count_against_the_version(gateway: Gateway, model: FakeModel) -> None:
    client = start(gateway, routing(model), ready=1)
    for body in (b"nonsense", b"", picture()[:100], b"{"):
        assert 400 <= client.post("/predict", data=body).status_code < 500
    assert (figures(gateway, 1)["requests"], figures(gateway, 1)["errors"]) == (0, 0)


def form(count: int, **more: bytes) -> dict[str, tuple[io.BytesIO, str]]:
    """A form with this many pictures, each with its own file name."""
    files = {f"file{i}": picture(("red", "blue")[i % 2]) for i in range(count)} | more
    return {name: (io.BytesIO(data), name) for name, data in files.items()}


def sizes(model: FakeModel) -> list[int]:
    """The number of pictures in each call to a model."""
    return [request.inputs["pixels"].tensor_shape.dim[0].size for request in model.requests]


def test_a_request_with_many_pictures_is_cut_into_calls_of_eight_and_counts_once(
    gateway: Gateway, model: FakeModel
) -> None:
    client = start(gateway, routing(model), ready=1)
    results = client.post("/predict", data=form(20, broken=b"nonsense")).get_json()["results"]
    assert [each.get("label") for each in results] == ["pizza", "not_pizza"] * 10 + [None]
    assert sizes(model) == [8, 8, 4]
    assert figures(gateway, 1)["requests"] == figures(gateway, 1)["latency_seconds"]["buckets"]["+Inf"] == 1


def test_the_latency_that_counts_does_not_grow_with_the_number_of_pictures(
    gateway: Gateway, make_model: MakeModel
) -> None:
    client = start(gateway, routing(make_model(delay_seconds=0.4)), ready=1)
    assert client.post("/predict", data=form(8)).status_code == 200
    assert 0.4 / 8 <= figures(gateway, 1)["latency_seconds"]["sum"] < 0.4


@pytest.mark.parametrize("most", [1, 4])
def test_a_model_that_takes_fewer_pictures_at_once_gets_them_one_by_one_and_no_error_counts(
    gateway: Gateway, make_model: MakeModel, most: int
) -> None:
    two = make_model(
        version=2,
        refuse=lambda pixels: grpc.StatusCode.INVALID_ARGUMENT if len(pixels) > most else None,
        fail_details=f"Task size 8 is larger than maximum input batch size {most}",
    )
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    answer = client.post("/predict", data=form(10)).get_json()
    assert answer["model"]["version"] == 2
    assert [each["label"] for each in answer["results"]] == ["pizza", "not_pizza"] * 5
    assert figures(gateway, 2)["errors"] == 0


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL])
def test_a_request_that_both_versions_refuse_does_not_count_against_the_candidate(
    gateway: Gateway, make_model: MakeModel, code: grpc.StatusCode
) -> None:
    one, two = make_model(version=1), make_model(version=2)
    client = start(gateway, routing(one, two, percents=(0, 100)), ready=2)
    one.refuse = two.refuse = lambda pixels: code if pixels.max() == 0 else None
    for _ in range(3):
        assert client.post("/predict", data=picture("black")).status_code == 502
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)
    two.refuse = lambda pixels: code
    assert send(client, 3) == [1] * 3
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (3, 3)


def test_an_overloaded_candidate_is_not_counted_as_failing(gateway: Gateway, make_model: MakeModel) -> None:
    models = (make_model(version=1), make_model(version=2, fail_with=grpc.StatusCode.RESOURCE_EXHAUSTED))
    client = start(gateway, routing(*models, percents=(0, 100)), ready=2)
    assert send(client, 3) == [1] * 3
    assert (figures(gateway, 2)["requests"], figures(gateway, 2)["errors"]) == (0, 0)


def test_a_request_that_is_slow_for_every_version_counts_against_none(
    gateway: Gateway, make_model: MakeModel
) -> None:
    # The candidate gets 2 s of the 4 s. Neither version can answer in 2 s.
    one, two = make_model(version=1, delay_seconds=2.2), make_model(version=2, delay_seconds=2.2)
    start(gateway, routing(one, two, percents=(0, 100)), ready=2)
    with contextlib.suppress(Problem):
        classify(gateway, Deadline.after(4.5))
    assert figures(gateway, 2)["errors"] == 0


@pytest.mark.parametrize("header", ["X-Request-ID", "Traceparent", "X-User", "Cookie"])
def test_no_header_of_a_client_chooses_the_version(
    gateway: Gateway, make_model: MakeModel, header: str
) -> None:
    client = start(gateway, routing(make_model(version=1), make_model(version=2), percents=(50, 50)), ready=2)
    assert set(send(client, 40, **{header: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})) == {
        1,
        2,
    }


def test_no_header_of_a_client_chooses_what_the_shadow_gets(gateway: Gateway, make_model: MakeModel) -> None:
    shadow = {"version": 2, "percent": 50}
    models = (make_model(version=1), make_model(version=2))
    client = start(gateway, routing(*models, percents=(100, 0), shadow=shadow), ready=2)
    send(client, 60, **{"X-Request-ID": "always-the-same"})
    eventually(lambda: gateway.rollout_document()["shadow"]["compared"] >= 10, "the shadow gets its share")
    assert gateway.rollout_document()["shadow"]["compared"] <= 50


def test_a_connection_that_is_closed_meanwhile_is_a_passing_failure_and_does_not_count(
    gateway: Gateway, model: FakeModel
) -> None:
    client = start(gateway, routing(model), ready=1)
    gateway.predictor.fleet().versions[1].server.close()
    for answer in (
        client.post("/predict", data=picture()),
        client.get("/v1/models/pizza-model"),
        client.get("/v1/models/pizza-model/metadata"),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert figures(gateway, 1)["errors"] == 0


def test_a_candidate_with_another_input_size_gets_pictures_of_its_own_size(
    gateway: Gateway, make_model: MakeModel
) -> None:
    contract = {**CONTRACT, "input": {**CONTRACT["input"], "height": 16, "width": 24}}  # type: ignore[dict-item]
    two = make_model(version=2, contract=contract)
    client = start(gateway, routing(make_model(version=1), two, percents=(0, 100)), ready=2)
    assert send(client, 1) == [2]
    assert [dim.size for dim in two.requests[0].inputs["pixels"].tensor_shape.dim] == [1, 16, 24, 3]


def always_pizza(pixels: np.ndarray) -> np.ndarray:
    return np.tile([0.1, 0.9], (len(pixels), 1))


@pytest.mark.parametrize("size", [32, 16], ids=["same input", "other input"])
def test_the_shadow_compares_and_never_answers(gateway: Gateway, make_model: MakeModel, size: int) -> None:
    contract = {**CONTRACT, "input": {**CONTRACT["input"], "height": size}}  # type: ignore[dict-item]
    two = make_model(version=2, contract=contract, answer=always_pizza)
    shadow = {"version": 2, "percent": 100}
    client = start(gateway, routing(make_model(version=1), two, percents=(100, 0), shadow=shadow), ready=2)
    for colour in ("red", "red", "blue", "red"):
        assert client.post("/predict", data=picture(colour)).get_json()["model"]["version"] == 1
    document = eventually(
        lambda: (d := gateway.rollout_document()["shadow"])["compared"] == 4 and d, "the shadow has compared"
    )
    assert (document["version"], document["agreed"], document["dropped"], document["failed"]) == (2, 3, 0, 0)
    assert document["confusion"] == [{"serving": "not_pizza", "candidate": "pizza", "count": 1}]
    assert figures(gateway, 2)["requests"] == 0


def test_a_failing_shadow_is_counted_and_delays_no_request(gateway: Gateway, make_model: MakeModel) -> None:
    two = make_model(version=2, fail_with=grpc.StatusCode.INTERNAL)
    shadow = {"version": 2, "percent": 100}
    client = start(gateway, routing(make_model(version=1), two, percents=(100, 0), shadow=shadow), ready=2)
    send(client, 3)
    eventually(lambda: gateway.rollout_document()["shadow"]["failed"] == 3, "failures are counted")


def test_a_slow_shadow_drops_copies_instead_of_piling_them_up(
    gateway: Gateway, make_model: MakeModel
) -> None:
    released = threading.Event()

    def answer_late(pixels: np.ndarray) -> np.ndarray:
        released.wait(60)
        return redness(pixels)

    two = make_model(version=2, answer=answer_late)
    shadow = {"version": 2, "percent": 100}
    client = start(gateway, routing(make_model(version=1), two, percents=(100, 0), shadow=shadow), ready=2)
    try:
        send(client, 100)
        document = gateway.rollout_document()["shadow"]
    finally:
        released.set()
    # One is being answered, 64 wait, and on a busy machine some have failed after the timeout.
    assert document["dropped"] >= max(1, 100 - 65 - document["failed"])


def test_the_rollout_document_has_the_fields_of_the_architecture_page(
    gateway: Gateway, make_model: MakeModel
) -> None:
    start(
        gateway, routing(make_model(version=1), make_model(version=2), percents=(90, 10), revision=7), ready=2
    )
    document = gateway.rollout_document()
    assert json.loads(json.dumps(document)) == document
    assert set(document) == {
        "schema",
        "start_id",
        "revision",
        "serving",
        "routing_error",
        "versions",
        "shadow",
    }
    assert set(document["versions"]["2"]) == {
        "ready", "error", "contract_digest", "classes", "requests", "errors", "latency_seconds",
    }  # fmt: skip
    assert (document["schema"], document["revision"], document["serving"]) == (1, 7, 1)
