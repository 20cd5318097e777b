"""What API keys add to the OpenAPI document."""

from __future__ import annotations

from ..access.api_keys import OPEN_PATHS
from .openapi_responses import problems
from .openapi_schemas import Json

_CAUSES = ("key-missing", "key-refused", "rate-limited")
_SCHEMES: Json = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer"},
}


def require_keys(document: Json) -> None:
    """Add to the document that all paths but the open ones need an API key."""
    document["components"]["securitySchemes"] = _SCHEMES
    document["security"] = [{name: []} for name in _SCHEMES]
    for path, operations in document["paths"].items():
        for method in operations.keys() & {"get", "post"}:
            if path in OPEN_PATHS:
                operations[method]["security"] = []
            else:
                _add_refusals(operations[method]["responses"])


def _add_refusals(responses: Json) -> None:
    for status, response in problems(_CAUSES).items():
        if status not in responses:
            responses[status] = response
        elif status in ("401", "403", "429"):
            responses[status]["description"] += " " + response["description"]
