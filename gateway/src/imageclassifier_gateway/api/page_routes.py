"""The routes of the page, of `/problems` and of `/openapi.json`."""

from __future__ import annotations

import html
import json
from importlib import resources

from flask import Blueprint, Response

from ..gateway import Gateway
from ..problems import CAUSES
from .openapi import openapi_document

_PAGE_FILES = {
    "": ("index.html", "text/html"),
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}


def page_routes(gateway: Gateway) -> Blueprint:
    """The routes of the page, of `/problems` and of `/openapi.json`."""
    blueprint = Blueprint("page", __name__)
    document = json.dumps(openapi_document(gateway.settings))
    needs_key = "false" if gateway.api_keys is None else "true"
    folder = resources.files(__package__) / "page"
    for path, (name, mimetype) in _PAGE_FILES.items():
        content = (folder / name).read_text(encoding="utf-8").replace("{{needs_key}}", needs_key)

        def serve(content: str = content, mimetype: str = mimetype) -> Response:
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
    """The page `/problems`, with an anchor for each cause. Problem documents link to it."""
    entries = (
        f'<div id="{name}"><dt>{_as_html(cause.title)}</dt>'
        f"<dd><code>{name}</code>, status {cause.status}</dd><dd>{_as_html(cause.advice)}</dd></div>"
        for name, cause in CAUSES.items()
    )
    return template.replace("{{problems}}", "\n      ".join(entries))


def _as_html(text: str) -> str:
    """The text as HTML, with text between backquotes as code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
