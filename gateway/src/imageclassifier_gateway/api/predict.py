"""The route `POST /predict`."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, request

from ..contract import Decision
from ..gateway import Gateway
from ..limits.admission import Admission
from ..pixels.heat_map import MEDIA_TYPE, data_url
from ..problems import Problem
from .exchange import Exchange
from .payload import Payload, Picture, Reference

#: The value of the parameter `explain`.
HEAT_MAP = "heatmap"
#: Created once, because `json.dumps` with `ensure_ascii=False` creates a new encoder for each call.
_encode = json.JSONEncoder(ensure_ascii=False).encode


def predict_routes(gateway: Gateway, admission: Admission) -> Blueprint:
    """The gateway's own prediction API."""
    blueprint = Blueprint("predict", __name__)
    exchange = Exchange(gateway, admission)

    @blueprint.post("/predict")
    def predict() -> Response:
        with admission.place_of(request.environ) as ticket:
            with g.trace.stage("receive"):
                payload = exchange.read_payload(ticket)
            explains = _explains(payload)
            answers = exchange.answer(payload.sources, ticket, explain=explains)
        shared = {
            "model": {"name": answers.model, "version": answers.version},
            "request_id": g.trace.request_id,
            "timings_ms": answers.timings_ms,
        }
        if payload.many:
            for outcome in answers.outcomes:
                if isinstance(outcome, Problem):
                    gateway.stats.problems.labels(outcome.cause).inc()
            results = [
                _item(source, outcome)
                for source, outcome in zip(payload.sources, answers.outcomes, strict=True)
            ]
            return _json({"results": results, **shared})
        outcome = answers.outcomes[0]
        if isinstance(outcome, Problem):
            raise outcome
        if answers.heat_map is None:
            return _json({**_decision(outcome), **shared})
        if _wants_json():
            return _json({**_decision(outcome), **shared, "heatmap": data_url(answers.heat_map)})
        return Response(answers.heat_map, mimetype=MEDIA_TYPE, headers={"Vary": "Accept"})

    return blueprint


def _explains(payload: Payload) -> bool:
    """Whether the request asks for a heat map. Raises Problem for anything else, or for several pictures."""
    wanted = request.args.get("explain")
    if wanted is None:
        return False
    if wanted != HEAT_MAP:
        raise Problem("bad-request", f"'explain' is {wanted!r:.60}. The only value is '{HEAT_MAP}'.")
    if payload.many:
        raise Problem(
            "bad-request",
            f"'explain={HEAT_MAP}' takes one picture in a request. Send each in a request of its own.",
        )
    return True


def _wants_json() -> bool:
    """Whether the client prefers the prediction with the heat map in it to the heat map alone."""
    return request.accept_mimetypes.best_match([MEDIA_TYPE, "application/json"], MEDIA_TYPE) != MEDIA_TYPE


def _item(source: Picture | Reference, outcome: Decision | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return {"name": source.name, "error": outcome.document(g.trace.request_id)}
    return {"name": source.name, **_decision(outcome)}


def _decision(decision: Decision) -> dict[str, Any]:
    display_name = {"display_name": decision.display_name} if decision.display_name else {}
    familiarity = {} if decision.distance is None else {"familiarity": _familiarity(decision)}
    return {
        "prediction": decision.message,
        "label": decision.shown_label,
        **display_name,
        "probability": round(decision.probability, 6),
        "probabilities": {label: round(value, 6) for label, value in decision.probabilities.items()},
        **familiarity,
    }


def _familiarity(decision: Decision) -> dict[str, Any]:
    limit = decision.distance_limit
    return {
        "distance": round(decision.distance or 0.0, 4),
        "limit": None if limit is None else round(limit, 4),
        "familiar": not decision.is_unfamiliar,
    }


def _json(document: dict[str, Any]) -> Response:
    # A name in the request may contain a lone surrogate, which UTF-8 cannot encode.
    return Response(_encode(document).encode("utf-8", "replace"), mimetype="application/json")
