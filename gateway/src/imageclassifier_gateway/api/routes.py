"""`POST /predict`, the page, and the description of the API."""

from __future__ import annotations

import html
import json
from importlib import resources
from typing import Any

from flask import Blueprint, Response, g, request

from ..contract import Decision
from ..gateway import Gateway
from ..limits.admission import Admission
from ..problems import CAUSES, Problem
from .exchange import Exchange
from .openapi import openapi_document
from .payload import Picture, Reference

#: Made once: `json.dumps` makes a new one for each text that is not all ASCII.
_encode = json.JSONEncoder(ensure_ascii=False).encode

_PAGE_FILES = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}


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


def page_routes(gateway: Gateway) -> Blueprint:
    """The page, and what programs read before they use the API."""
    blueprint = Blueprint("page", __name__)
    document = json.dumps(openapi_document(gateway.settings))
    folder = resources.files(__package__) / "page"
    for path, (name, mimetype) in _PAGE_FILES.items():
        content = (folder / name).read_bytes()

        def serve(content: bytes = content, mimetype: str = mimetype) -> Response:
            return Response(content, mimetype=mimetype, headers={"Cache-Control": "no-cache"})

        blueprint.add_url_rule(f"/{path}", name.replace(".", "-"), serve)

    problems = _problems_page((folder / "problems.html").read_text(encoding="utf-8"))

    @blueprint.get("/problems")
    def explain_problems() -> Response:
        return Response(problems, mimetype="text/html", headers={"Cache-Control": "no-cache"})

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return Response(document, mimetype="application/json")

    return blueprint


def _problems_page(template: str) -> str:
    """What the `type` of a problem document leads to: each cause under its own anchor."""
    entries = (
        f'<div id="{name}"><dt>{_as_html(cause.title)}</dt>'
        f"<dd><code>{name}</code>, status {cause.status}</dd><dd>{_as_html(cause.advice)}</dd></div>"
        for name, cause in CAUSES.items()
    )
    return template.replace("{{problems}}", "\n      ".join(entries))


def _as_html(text: str) -> str:
    """Escaped, with what stands between backquotes as code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _item(source: Picture | Reference, outcome: Decision | Problem) -> dict[str, Any]:
    if isinstance(outcome, Problem):
        return {"name": source.name, "error": outcome.document(g.trace.request_id)}
    return {"name": source.name, **_decision(outcome)}


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "prediction": decision.message,
        "label": decision.label,
        "probability": round(decision.probability, 6),
        "probabilities": {label: round(value, 6) for label, value in decision.probabilities.items()},
    }


def _json(document: dict[str, Any]) -> Response:
    # A name that came in may hold half a surrogate pair, which UTF-8 has no form for.
    return Response(_encode(document).encode("utf-8", "replace"), mimetype="application/json")
