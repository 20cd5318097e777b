"""Predictions below the limit for unsure predictions have a message and no label."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fake_model import CONTRACT
from gateway_testbed import picture, routing
from imageclassifier_gateway.contract import ContractError, parse_contract
from imageclassifier_gateway.versions.routing import RoutingError, parse_routing
from versions_under_test import MakeModel, start

RULE = {"below": 0.7, "message": "Look nearer."}


def with_rule(text: str, rule: Any) -> str:
    document = json.loads(text)
    document["versions"][0]["unsure"] = rule
    return json.dumps(document)


@pytest.mark.parametrize("place", ["the routing file", "the contract"])
def test_a_prediction_below_the_limit_has_the_message_and_no_label(
    gateway: Any, make_model: MakeModel, place: str
) -> None:
    values = {"pizza": 0.6}
    model = make_model(
        version=1,
        contract={**CONTRACT, "unsure": RULE} if place == "the contract" else CONTRACT,
        answer=lambda pixels: np.tile([1 - values["pizza"], values["pizza"]], (len(pixels), 1)),
    )
    text = routing(model)
    client = start(gateway, text if place == "the contract" else with_rule(text, RULE), ready=1)

    def answer() -> Any:
        return client.post("/predict", data=picture(), content_type="image/jpeg").json

    unsure = answer()
    assert (unsure["label"], unsure["prediction"], unsure["probability"]) == (None, "Look nearer.", 0.6)
    assert unsure["probabilities"] == {"not_pizza": 0.4, "pizza": 0.6}
    values["pizza"] = 0.7
    assert answer()["label"] == "pizza"


@pytest.mark.parametrize("rule", [{}, {"below": 1.5}, {"below": "60%"}, {"below": 0.5, "message": ""}, []])
def test_an_invalid_rule_is_refused(rule: Any) -> None:
    with pytest.raises(ContractError, match="unsure"):
        parse_contract({**CONTRACT, "unsure": rule})
    text = json.dumps({
        "schema": 1, "revision": 1, "model": "m", "serving": 1,
        "versions": [{"version": 1, "target": "dns:///x:1", "percent": 100, "unsure": rule}],
    })  # fmt: skip
    with pytest.raises(RoutingError, match=r"versions\[0\]\.unsure"):
        parse_routing(text)
