"""The responses of the operations in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable

from ..problems import CAUSES, MEDIA_TYPE
from .openapi_schemas import Json, ref

#: The causes for requests that are refused before their path is known.
_UNREADABLE_CAUSES = ("bad-request", "url-too-long", "headers-too-large")
_REQUEST_ID: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}


def get(summary: str, schema: str, causes: Iterable[str]) -> Json:
    """A GET operation whose response has this schema."""
    return {"summary": summary, "responses": {"200": answer(ref(schema), summary), **problems(causes)}}


def file(summary: str, media_type: str) -> Json:
    """A GET operation whose response is a file."""
    content = {media_type: {"schema": {"type": "string"}}}
    response = {"description": summary, "headers": _REQUEST_ID, "content": content}
    return {"summary": summary, "responses": {"200": response, **problems(())}}


def answer(schema: Json, description: str, *, png: bool = False) -> Json:
    """A successful JSON response, which may also be a PNG."""
    picture = {"image/png": {"schema": {"type": "string", "format": "binary"}}} if png else {}
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {"application/json": {"schema": schema}, **picture},
    }


def problems(causes: Iterable[str]) -> Json:
    """The responses for these causes and for those that any request may have, one for each status."""
    titles: dict[int, list[str]] = {}
    for cause in dict.fromkeys((*causes, *_UNREADABLE_CAUSES)):
        status, title, _ = CAUSES[cause]
        titles.setdefault(status, []).append(f"{title} (`{cause}`)")
    responses: Json = {}
    for status, texts in sorted(titles.items()):
        headers = {**_REQUEST_ID, "Link": {"$ref": "#/components/headers/Help"}}
        if status in (429, 503):
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        responses[str(status)] = {
            "description": ". ".join(texts) + ".",
            "headers": headers,
            "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
        }
    return responses
