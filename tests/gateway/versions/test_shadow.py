"""The shadow version: it is compared with the serving version, and delays no request."""

from __future__ import annotations

import threading

import grpc
import numpy as np
import pytest

from fake_model import CONTRACT, redness
from gateway_testbed import eventually, picture, routing
from imageclassifier_gateway.gateway import Gateway
from versions_under_test import MakeModel, figures, send, start


def test_no_header_of_a_client_chooses_what_the_shadow_gets(gateway: Gateway, make_model: MakeModel) -> None:
    shadow = {"version": 2, "percent": 50}
    models = (make_model(version=1), make_model(version=2))
    client = start(gateway, routing(*models, percents=(100, 0), shadow=shadow), ready=2)
    send(client, 60, **{"X-Request-ID": "always-the-same"})
    eventually(lambda: gateway.rollout_document()["shadow"]["compared"] >= 10, "the shadow gets its share")
    assert gateway.rollout_document()["shadow"]["compared"] <= 50


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
