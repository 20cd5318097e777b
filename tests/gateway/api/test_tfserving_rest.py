"""TensorFlow Serving's REST form: `/v1/models/NAME`, as its clients call it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from api_answers import problem
from fake_model import FakeModel
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.gateway import Gateway
from imageclassifier_gateway.limits.admission import Admission


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
