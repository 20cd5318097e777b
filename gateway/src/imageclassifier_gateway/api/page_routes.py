"""The routes of the page, of `/problems` and of `/openapi.json`."""

from __future__ import annotations

import html
import json
from importlib import resources

from flask import Blueprint, Response, request

from ..gateway import Gateway
from ..problems import CAUSES
from .openapi import openapi_document

_PAGE_FILES = {
    "page.js": "text/javascript",
    "page.css": "text/css",
}


def page_routes(gateway: Gateway) -> Blueprint:
    """The routes of the page, of `/problems` and of `/openapi.json`."""
    blueprint = Blueprint("page", __name__)
    document = json.dumps(openapi_document(gateway.settings))
    folder = resources.files(__package__) / "page"
    page = (folder / "index.html").read_text(encoding="utf-8")

    @blueprint.get("/")
    def show_page() -> Response:
        # A proxy that adds a key to each request adds it to this one too. Its users have no key of their own.
        has_key = "X-API-Key" in request.headers or "Authorization" in request.headers
        asks = gateway.api_keys is not None and not has_key
        return _revalidated(page.replace("{{needs_key}}", "true" if asks else "false"), "text/html")

    for path, mimetype in _PAGE_FILES.items():
        content = (folder / path).read_text(encoding="utf-8")

        def serve(content: str = content, mimetype: str = mimetype) -> Response:
            return _revalidated(content, mimetype)

        blueprint.add_url_rule(f"/{path}", path.replace(".", "-"), serve)

    problems = _problems_page((folder / "problems.html").read_text(encoding="utf-8"))

    @blueprint.get("/problems")
    def explain_problems() -> Response:
        return _revalidated(problems, "text/html")

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return Response(document, mimetype="application/json")

    return blueprint


def _revalidated(content: str, mimetype: str) -> Response:
    return Response(content, mimetype=mimetype, headers={"Cache-Control": "no-cache"})


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
