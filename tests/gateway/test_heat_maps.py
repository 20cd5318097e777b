"""Where a prediction comes from: heat maps from a real model server, over the API, and as pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gateway_process import GatewayProcess
from gateway_process import request as http_request
from gateway_testbed import picture, routing_document
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.contract import Contract, parse_contract
from imageclassifier_gateway.pixels import heat_map, images
from imageclassifier_gateway.verify.verification import verify
from imageclassifier_gateway.versions.batches import CallOptions, predict_pixels
from imageclassifier_gateway.versions.model_server_client import ModelServer
from real_model_server import make_models, running


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model server: version 1 of the model `tiny` has maps, and version 2 has none."""
    folder = tmp_path_factory.mktemp("models")
    make_models(folder, {("tiny", 1): "explained", ("tiny", 2): "good"})
    with running(folder, ("tiny",)) as address:
        yield address


@pytest.fixture(scope="module")
def gateways(target: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, GatewayProcess]]:
    """A gateway for each version."""
    started = {}
    for version in (1, 2):
        text = routing_document("tiny", {version: target}, serving=version)
        started[version] = GatewayProcess(tmp_path_factory.mktemp(f"gateway{version}")).start_ready(text)
    yield started
    for each in started.values():
        each.stop()


def half_light() -> bytes:
    """A picture twice as wide as high, whose right half is white and whose left half is dark."""
    drawn = Image.new("RGB", (320, 160), (90, 90, 90))
    drawn.paste((255, 255, 255), (160, 0, 320, 160))
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue()


def explain(gateway: GatewayProcess, data: bytes, query: str = "?explain=heatmap", **headers: str) -> Any:
    return http_request(
        gateway.port, "POST", f"/predict{query}", data, {"Content-Type": "image/png", **headers}
    )


def test_a_heat_map_is_a_png_with_the_places_that_speak_for_the_prediction(
    gateways: dict[int, GatewayProcess],
) -> None:
    answer = explain(gateways[1], half_light())
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    drawn = Image.open(io.BytesIO(answer.body))
    assert drawn.size == (32, 16)  # the aspect ratio of the picture, and the longer side of the model's input
    values = np.asarray(drawn, dtype=int)
    dark, light = values[:, :8].mean(axis=(0, 1)), values[:, -8:].mean(axis=(0, 1))
    assert light[0] > light[2] + 50  # orange: speaks for "light"
    assert dark[2] > dark[0] + 20  # blue: speaks against it


def test_a_client_that_prefers_json_gets_the_prediction_with_the_heat_map(
    gateways: dict[int, GatewayProcess],
) -> None:
    answer = explain(gateways[1], half_light(), Accept="application/json")
    plain = json.loads(explain(gateways[1], half_light(), "").body)
    document = json.loads(answer.body)
    png = base64.b64decode(document.pop("heatmap").removeprefix("data:image/png;base64,"))
    assert png == explain(gateways[1], half_light(), Accept="image/*").body
    for key in ("label", "prediction", "probabilities", "model"):
        assert document[key] == plain[key]
    assert "heatmap" not in plain


def test_a_turned_photograph_has_an_upright_heat_map(gateways: dict[int, GatewayProcess]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    buffer = io.BytesIO()
    Image.new("RGB", (320, 160), "white").save(buffer, "JPEG", exif=exif)
    assert Image.open(io.BytesIO(explain(gateways[1], buffer.getvalue()).body)).size == (16, 32)


def test_a_model_without_maps_gets_a_problem_that_says_what_to_do(
    gateways: dict[int, GatewayProcess],
) -> None:
    answer = explain(gateways[2], picture("white"))
    problem = json.loads(answer.body)
    assert (answer.status, problem["type"]) == (422, "tag:imageclassifier.dev,2026:no-heat-map")
    assert problem["detail"].startswith("Version 2 of tiny has no heat maps")
    assert explain(gateways[2], picture("white"), "").status == 200


def test_other_values_and_several_pictures_are_refused(gateways: dict[int, GatewayProcess]) -> None:
    other = explain(gateways[1], picture(), "?explain=lime")
    assert (other.status, "only value is 'heatmap'" in other.body.decode()) == (400, True)
    urls = json.dumps({"urls": ["http://example.org/a.png"]}).encode()
    several = explain(gateways[1], urls, **{"Content-Type": "application/json"})
    assert (several.status, "one picture in a request" in several.body.decode()) == (400, True)


def test_a_picture_that_cannot_be_read_is_its_own_problem(gateways: dict[int, GatewayProcess]) -> None:
    assert explain(gateways[1], b"no picture").status == 415


def test_the_mean_of_the_maps_is_the_logit_of_the_answer(target: str) -> None:
    server = ModelServer(target, "tiny", 1)
    contract = parse_contract(server.text("contract", timeout_seconds=60))
    pixels = images.prepare(half_light(), contract.input)
    options = CallOptions(60, retry_on_another_pod=False)
    scores = predict_pixels(server, contract, [pixels], options, contract.explanation)
    plain = predict_pixels(server, contract, [pixels], options)
    server.close()
    assert scores.maps is not None
    assert scores.maps.shape == (1, 4, 4, 2)
    logits = scores.maps[0].mean(axis=(0, 1), dtype=np.float64)
    odds = np.log(plain.probabilities[0, 1] / plain.probabilities[0, 0])
    assert logits[1] - logits[0] == pytest.approx(odds, abs=1e-4)
    np.testing.assert_allclose(scores.probabilities, plain.probabilities, atol=1e-6)


@pytest.mark.parametrize("version", [1, 2])
def test_the_verification_passes_models_with_right_maps_and_without(target: str, version: int) -> None:
    candidate = {"version": version, "target": target, "contract": None}
    plan = {"schema": 1, "model": "tiny", "candidate": candidate, "serving": None, "deadline_seconds": 60}
    verdict = verify(plan, Settings())
    assert verdict.reason is None, verdict.message


def test_evidence_does_not_change_when_all_logits_grow() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(heat_map.contrast(maps + 7, 2), heat_map.contrast(maps, 2), atol=1e-5)


def test_a_heat_map_of_a_large_input_is_bounded() -> None:
    assert max(heat_map.size_of((60000, 10), (4096, 4096), "squash")) == heat_map.MAX_SIDE
    assert min(heat_map.size_of((60000, 10), (4096, 4096), "squash")) == 1
    flat = heat_map.draw(np.zeros((4, 4, 3), np.uint8), np.zeros((2, 2), np.float32), (8, 8))
    assert np.asarray(Image.open(io.BytesIO(flat))).max() == 0


@pytest.mark.parametrize("maps", [np.zeros((1, 2, 2, 3)), np.zeros((1, 4)), np.full((1, 2, 2, 2), np.nan)])
def test_maps_of_another_form_are_an_error_of_the_model(maps: Any) -> None:
    contract: Contract = parse_contract(
        {
            "input": {"height": 8, "width": 8},
            "classes": [{"name": "a"}, {"name": "b"}],
            "threshold": 0.5,
            "explain": {},
        }
    )
    assert contract.explanation is not None
    with pytest.raises(ValueError, match="maps"):
        contract.explanation.maps(maps, 2)
    assert parse_contract(contract.to_json()) == contract
