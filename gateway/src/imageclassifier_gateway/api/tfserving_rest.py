"""TensorFlow Serving's REST API for pictures, for clients that already use it.

https://www.tensorflow.org/tfx/serving/api_rest describes the API.

An instance is a picture, `{"b64": "..."}`, alone or under one input name. The response contains the
probabilities in the order of the classes. The API accepts no raw tensors, because the gateway preprocesses
pictures. A path may name a version, but only the serving version classifies pictures.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, request
from google.protobuf.json_format import MessageToDict

from ..contract import SERVING_SIGNATURE, Decision
from ..gateway import Gateway
from ..limits.admission import Admission
from ..pixels.pieces import Pause
from ..problems import Problem
from ..versions.model_server_errors import ModelServerError
from .exchange import Exchange
from .model_path import find_version
from .payload import Picture, check_count, decode_base64, parse_json_object

_CALL_SECONDS = 2.0


def tfserving_routes(gateway: Gateway, admission: Admission) -> Blueprint:
    """The routes `/v1/models/NAME` and `/v1/models/NAME/versions/N`, with `:predict` and `/metadata`."""
    blueprint = Blueprint("tfserving", __name__, url_prefix="/v1/models")
    exchange = Exchange(gateway, admission)

    @blueprint.post("/<model>:predict", defaults={"version": None})
    @blueprint.post("/<model>/versions/<int:version>:predict")
    def predict(model: str, version: int | None) -> Response:
        with admission.place_of(request.environ) as ticket:
            with g.trace.stage("receive"):
                body = exchange.read_body(ticket)
                find_version(gateway, model, version)
                document = parse_json_object(exchange.admit_json(body, ticket))
                row_format, pictures = _pictures(document, gateway.settings.max_pictures, exchange.pauses())
            answers = exchange.answer(pictures, ticket, version=version)
        rows = []
        for index, outcome in enumerate(answers.outcomes):
            if not isinstance(outcome, Decision):
                where = f"{'instances' if row_format else 'inputs'}[{index}]"
                raise Problem(outcome.cause, f"{where}: {outcome.detail}", outcome.headers)
            rows.append([round(value, 6) for value in outcome.probabilities.values()])
        return _json({"predictions" if row_format else "outputs": rows})

    @blueprint.get("/<model>", defaults={"version": None})
    @blueprint.get("/<model>/versions/<int:version>")
    def status(model: str, version: int | None) -> Response:
        with admission.place_of(request.environ):
            named = find_version(gateway, model, version)
            try:
                answer = named.server.status(timeout_seconds=_CALL_SECONDS)
            except ModelServerError as error:
                raise Problem(error.cause, f"{error} Retry later.") from None
        return _json({"model_version_status": [_as_json(answer)]})

    @blueprint.get("/<model>/metadata", defaults={"version": None})
    @blueprint.get("/<model>/versions/<int:version>/metadata")
    def metadata(model: str, version: int | None) -> Response:
        with admission.place_of(request.environ):
            named = find_version(gateway, model, version)
            try:
                signatures = named.server.signatures(timeout_seconds=_CALL_SECONDS)
            except ModelServerError as error:
                raise Problem(error.cause, f"{error} Retry later.") from None
        spec = {"name": named.model, "signature_name": "", "version": str(named.number)}
        return _json({"model_spec": spec, "metadata": {"signature_def": _as_json(signatures)}})

    return blueprint


def _pictures(document: dict[str, Any], max_pictures: int, pause: Pause) -> tuple[bool, list[Picture]]:
    """Whether the request has the row format (`instances`, not `inputs`), and its pictures."""
    signature = document.get("signature_name", "")
    if signature not in ("", SERVING_SIGNATURE):
        raise Problem("bad-request", f"'signature_name' must be '{SERVING_SIGNATURE}' or be left out.")
    given = [name for name in ("instances", "inputs") if name in document]
    if len(given) != 1:
        raise Problem("bad-request", "Send exactly one of 'instances' and 'inputs'.")
    name = given[0]
    values = document[name]
    if name == "inputs" and isinstance(values, dict) and "b64" not in values and len(values) == 1:
        values = next(iter(values.values()))
    if not isinstance(values, list) or not values:
        raise Problem("bad-request", f"'{name}' must be a list of at least one picture.")
    check_count(len(values), max_pictures)
    pictures = [_picture(value, f"{name}[{index}]", pause) for index, value in enumerate(values)]
    return name == "instances", pictures


def _picture(value: Any, where: str, pause: Pause) -> Picture:
    if isinstance(value, dict) and "b64" not in value and len(value) == 1:
        value = next(iter(value.values()))
    if not isinstance(value, dict) or set(value) != {"b64"} or not isinstance(value["b64"], str):
        pixels = " The gateway decodes and resizes pictures itself, and takes no pixel values."
        raise Problem(
            "bad-request",
            f'{where} must be a picture: {{"b64": "<base64 of a JPEG, PNG, ...>"}}.'
            f"{pixels if isinstance(value, list | int | float) else ''}",
        )
    return Picture(decode_base64(value["b64"], where, pause))


def _as_json(message: Any) -> dict[str, Any]:
    document: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return document


def _json(document: dict[str, Any]) -> Response:
    return Response(json.dumps(document), mimetype="application/json")
