"""The Open Inference Protocol V2 over REST, for clients of KServe, Triton and other model servers.

https://github.com/kserve/open-inference-protocol describes the API.

The model has one BYTES input, `image`, whose elements are picture files: in base64 in JSON, as they are with
the binary extension. Its outputs are `probabilities`, in the order of the classes, and `label`. A path may
name a version, but only the serving version classifies pictures. Responses are always JSON.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, request

from imageclassifier_gateway import __version__

from ..contract import Contract, Decision
from ..gateway import Gateway
from ..limits.admission import Admission
from ..problems import Problem
from .exchange import Exchange
from .model_path import find_version
from .open_inference_request import DATATYPE, InferenceRequest, read_inference_request

_JSON_LENGTH = "Inference-Header-Content-Length"


def open_inference_routes(gateway: Gateway, admission: Admission) -> Blueprint:
    """The routes `/v2`, `/v2/health/...` and `/v2/models/NAME`, with `/versions/N`, `/ready` and `/infer`."""
    blueprint = Blueprint("open_inference", __name__, url_prefix="/v2")
    exchange = Exchange(gateway, admission)

    @blueprint.get("")
    def server() -> Response:
        return _json(
            {
                "name": "imageclassifier-gateway",
                "version": __version__,
                "extensions": ["binary_tensor_data"],
            }
        )

    @blueprint.get("/health/live")
    def live() -> Response:
        return _json({"live": True})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        reason = gateway.unready_reason()
        if reason is not None:
            raise Problem("not-ready", reason)
        return _json({"ready": True})

    @blueprint.get("/models/<model>/ready", defaults={"version": None})
    @blueprint.get("/models/<model>/versions/<int:version>/ready")
    def model_ready(model: str, version: int | None) -> Response:
        state = find_version(gateway, model, version).state
        if not state.ready:
            raise Problem("not-ready", state.error or "The version is not ready.")
        return _json({"name": model, "ready": True})

    @blueprint.get("/models/<model>", defaults={"version": None})
    @blueprint.get("/models/<model>/versions/<int:version>")
    def metadata(model: str, version: int | None) -> Response:
        named = find_version(gateway, model, version)
        contract = named.state.contract
        if contract is None:
            raise Problem("not-ready", named.state.error or "The version is not ready.")
        return _json({"name": model, "versions": [str(named.number)], **_description(contract)})

    @blueprint.post("/models/<model>/infer", defaults={"version": None})
    @blueprint.post("/models/<model>/versions/<int:version>/infer")
    def infer(model: str, version: int | None) -> Response:
        with admission.place_of(request.environ) as ticket:
            with g.trace.stage("receive"):
                body = exchange.read_body(ticket)
                find_version(gateway, model, version)
                asked = read_inference_request(
                    exchange.admit_json(body, ticket),
                    request.headers.get(_JSON_LENGTH),
                    gateway.settings.max_pictures,
                    exchange.pauses(),
                )
            answers = exchange.answer(asked.pictures, ticket, version=version)
        decisions = [_decision(outcome, index) for index, outcome in enumerate(answers.outcomes)]
        shared = {} if asked.id is None else {"id": asked.id}
        return _json(
            {
                "model_name": answers.model,
                "model_version": str(answers.version),
                **shared,
                "outputs": _outputs(asked, decisions),
            }
        )

    return blueprint


def _description(contract: Contract) -> dict[str, Any]:
    return {
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "image", "datatype": DATATYPE, "shape": [-1]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(contract.classes)]},
            {"name": "label", "datatype": DATATYPE, "shape": [-1]},
        ],
    }


def _decision(outcome: Decision | Problem, index: int) -> Decision:
    if isinstance(outcome, Decision):
        return outcome
    raise Problem(outcome.cause, f"inputs[0].data[{index}]: {outcome.detail}", outcome.headers)


def _outputs(asked: InferenceRequest, decisions: list[Decision]) -> list[dict[str, Any]]:
    rows = [list(each.probabilities.values()) for each in decisions]
    labels = [each.shown_label or "" for each in decisions]
    tensors = {
        "probabilities": {
            "datatype": "FP32",
            "shape": [len(rows), len(rows[0])],
            "data": [round(value, 6) for row in rows for value in row],
        },
        "label": {"datatype": DATATYPE, "shape": [len(rows)], "data": labels},
    }
    return [{"name": name, **tensors[name]} for name in asked.outputs]


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json")
