"""The route `POST /predict`."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, g, request

from ..contract import Decision
from ..gateway import Gateway
from ..limits.admission import Admission
from ..problems import Problem
from .exchange import Exchange
from .payload import Picture, Reference

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
            answers = exchange.answer(payload.sources, ticket)
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
        return _json({**_decision(outcome), **shared})

    return blueprint


def _item(source: Picture | Reference, outcome: Decision | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return {"name": source.name, "error": outcome.document(g.trace.request_id)}
    return {"name": source.name, **_decision(outcome)}


def _decision(decision: Decision) -> dict[str, Any]:
    display_name = {"display_name": decision.display_name} if decision.display_name else {}
    return {
        "prediction": decision.message,
        "label": decision.shown_label,
        **display_name,
        "probability": round(decision.probability, 6),
        "probabilities": {label: round(value, 6) for label, value in decision.probabilities.items()},
    }


def _json(document: dict[str, Any]) -> Response:
    # A name in the request may contain a lone surrogate, which UTF-8 cannot encode.
    return Response(_encode(document).encode("utf-8", "replace"), mimetype="application/json")
