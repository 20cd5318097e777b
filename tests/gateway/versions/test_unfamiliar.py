"""Pictures that are unlike the training pictures of a model get a message and no label."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from fake_model import CONTRACT
from gateway_testbed import picture, routing
from imageclassifier_gateway.contract import ContractError, parse_contract
from imageclassifier_gateway.versions.routing import RoutingError, parse_routing
from versions_under_test import MakeModel, figures, start

QUANTILES = [[0.5, 1.0], [0.99, 1.5], [0.998, 1.8], [1.0, 2.0]]
FAMILIARITY = {"quantiles": QUANTILES, "unfamiliar": {"beyond": 0.998, "message": "I never saw this."}}
KNOWING = {**CONTRACT, "familiarity": FAMILIARITY}


def redness_as_distance(pixels: Any) -> Any:
    """Red pictures are near, and blue ones are far away."""
    return np.where(pixels[..., 2].mean(axis=(1, 2)) > 128, 3.0, 1.7)


def with_rule(text: str, rule: Any) -> str:
    document = json.loads(text)
    document["versions"][0]["unfamiliar"] = rule
    return json.dumps(document)


def answers(client: Any, *colours: str) -> list[Any]:
    return [client.post("/predict", data=picture(colour)).get_json() for colour in colours]


def test_an_unfamiliar_picture_has_the_message_the_figures_and_no_label(
    gateway: Any, make_model: MakeModel
) -> None:
    model = make_model(version=1, contract=KNOWING, distance=redness_as_distance)
    known, strange = answers(start(gateway, routing(model), ready=1), "red", "blue")
    assert (known["label"], known["prediction"]) == ("pizza", "It's a pizza!")
    assert known["familiarity"] == {"distance": 1.7, "limit": 1.8, "familiar": True}
    assert (strange["label"], strange["prediction"]) == (None, "I never saw this.")
    assert strange["familiarity"] == {"distance": 3.0, "limit": 1.8, "familiar": False}
    assert set(strange["probabilities"]) == {"not_pizza", "pizza"}
    # One call for each picture: the distance is one more output of it.
    assert len(model.requests) == 2
    assert figures(gateway, 1)["errors"] == 0


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        ({}, ["pizza", None]),
        ({"beyond": 0.99}, [None, None]),
        ({"beyond": 1.0}, ["pizza", None]),
        ({"ignored": True}, ["pizza", "not_pizza"]),
        ({"message": "What is this?"}, ["pizza", None]),
    ],
)
def test_the_spec_changes_the_rule(
    gateway: Any, make_model: MakeModel, rule: dict[str, Any], labels: list[str | None]
) -> None:
    model = make_model(version=1, contract=KNOWING, distance=redness_as_distance)
    found = answers(start(gateway, with_rule(routing(model), rule), ready=1), "red", "blue")
    assert [each["label"] for each in found] == labels
    if message := rule.get("message"):
        assert found[1]["prediction"] == message
    if rule.get("ignored"):
        assert found[1]["familiarity"] == {"distance": 3.0, "limit": None, "familiar": True}


def test_a_model_without_the_output_works_as_before(gateway: Any, make_model: MakeModel) -> None:
    client = start(gateway, with_rule(routing(make_model(version=1)), {"beyond": 0.99}), ready=1)
    [answer] = answers(client, "blue")
    assert answer["label"] == "not_pizza"
    assert "familiarity" not in answer


def test_the_other_apis_have_no_label_either(gateway: Any, make_model: MakeModel) -> None:
    model = make_model(version=1, contract=KNOWING, distance=redness_as_distance)
    client = start(gateway, routing(model), ready=1)
    data = [base64.b64encode(picture(colour)).decode() for colour in ("red", "blue")]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [2], "data": data}
    answer = client.post("/v2/models/pizza-model/infer", json={"inputs": [tensor]}).get_json()
    assert answer["outputs"][1]["data"] == ["pizza", ""]


@pytest.mark.parametrize("distance", [lambda pixels: [[1.0, 2.0]], lambda pixels: [np.nan], None])
def test_a_model_that_does_not_return_what_its_contract_says_is_broken(
    gateway: Any, make_model: MakeModel, distance: Any
) -> None:
    model = make_model(version=1, contract=KNOWING, distance=distance)
    response = start(gateway, routing(model), ready=1).post("/predict", data=picture())
    assert response.status_code == 502
    assert "distance" in response.get_json()["detail"]


@pytest.mark.parametrize(
    "familiarity",
    [
        {"quantiles": QUANTILES},
        {**FAMILIARITY, "quantiles": []},
        {**FAMILIARITY, "quantiles": [[0.5, 1.0], [0.99, 0.5], [1.0, 2.0]]},
        {**FAMILIARITY, "quantiles": [[0.9, 1.0], [1.0, 2.0]]},
        {**FAMILIARITY, "quantiles": [[0.5, 1.0], [0.99, 2.0]]},
        {**FAMILIARITY, "unfamiliar": {"beyond": 0.2}},
        {**FAMILIARITY, "more": 1},
    ],
)
def test_an_invalid_measure_is_refused(familiarity: Any) -> None:
    with pytest.raises(ContractError, match="familiarity"):
        parse_contract({**CONTRACT, "familiarity": familiarity})


def test_a_contract_keeps_its_measure_as_json() -> None:
    contract = parse_contract(KNOWING)
    assert parse_contract(contract.to_json()) == contract
    assert contract.familiarity is not None
    assert contract.familiarity.limit == 1.8
    assert parse_contract(CONTRACT).to_dict().get("familiarity") is None


@pytest.mark.parametrize(
    "rule", [[], {"beyond": "99%"}, {"beyond": 0.1}, {"message": ""}, {"ignored": "yes"}]
)
def test_an_invalid_rule_in_the_routing_file_is_refused(rule: Any) -> None:
    text = json.dumps({
        "schema": 1, "revision": 1, "model": "m", "serving": 1,
        "versions": [{"version": 1, "target": "dns:///x:1", "percent": 100, "unfamiliar": rule}],
    })  # fmt: skip
    with pytest.raises(RoutingError, match=r"versions\[0\]\.unfamiliar"):
        parse_routing(text)
