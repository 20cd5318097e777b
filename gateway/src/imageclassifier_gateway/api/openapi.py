"""The OpenAPI document of the public API (`/openapi.json`); schemathesis checks it in a test."""

from __future__ import annotations

from collections.abc import Iterable

from imageclassifier_gateway import __version__

from ..config import Settings
from ..problems import CAUSES, MEDIA_TYPE
from .openapi_schemas import Json, ref, schemas

_PREDICT_CAUSES = (
    "bad-request", "body-too-slow", "too-large", "not-a-picture", "broken-picture", "unsupported-picture",
    "url-refused", "url-not-fetched", "model-error", "overloaded", "not-ready", "model-unavailable",
    "model-timeout", "timeout",
)  # fmt: skip
#: The causes for requests that are refused before their path is known.
_UNREADABLE_CAUSES = ("bad-request", "url-too-long", "headers-too-large")
_MODEL_CAUSES = (
    "not-found", "model-error", "overloaded", "not-ready", "model-unavailable", "model-timeout",
)  # fmt: skip


def openapi_document(settings: Settings) -> Json:
    """The OpenAPI 3.1 document for a gateway with these limits."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ImageClassifier gateway",
            "version": __version__,
            "description": "Send a picture, or the URL of a picture, and get the class that the model "
            "predicts.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict(settings)},
            **_tfserving_paths("/v1/models/{model}", [_MODEL], settings),
            **_tfserving_paths("/v1/models/{model}/versions/{version}", [_MODEL, _VERSION], settings),
            "/openapi.json": {"get": _get("This document", "AnyObject", ())},
            "/problems": {
                "get": _file("The meaning of each problem, and what to do", "text/html; charset=utf-8")
            },
            "/": {"get": _file("The page to try the model", "text/html; charset=utf-8")},
            "/page.js": {"get": _file("The script of the page", "text/javascript; charset=utf-8")},
            "/page.css": {"get": _file("The style sheet of the page", "text/css; charset=utf-8")},
        },
        "components": {"schemas": schemas(settings), "headers": _HEADERS},
    }


_MODEL: Json = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "The name of the model. Any other name gets 404.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+$"},
}
_VERSION: Json = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "The number of a version. Only the serving version classifies pictures; others get 404.",
    "schema": {"type": "integer", "minimum": 0},
}
_REQUEST_ID_PARAMETER: Json = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Identifies the request in the response and in the logs. The gateway generates an id if "
    "this one is missing or has unusual characters.",
    "schema": {"type": "string"},
}
_TRACEPARENT_PARAMETER: Json = {
    "name": "traceparent",
    "in": "header",
    "description": "W3C Trace Context. The gateway passes it on to the model server.",
    "schema": {"type": "string"},
}
_HEADERS: Json = {
    "RequestId": {"description": "The id of the request.", "required": True, "schema": {"type": "string"}},
    "Help": {
        "description": "The paragraph of `/problems` about this problem, relative to the path of the "
        "request.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds to wait before a retry.",
        "required": True,
        "schema": {"type": "string"},
    },
}
_REQUEST_ID: Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}


def _predict(settings: Settings) -> Json:
    picture = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {
        "operationId": "predict",
        "summary": "Classify one picture, or several",
        "description": (
            f"At most {settings.max_pictures} pictures of {settings.max_image_bytes:,} bytes each, and "
            f"{settings.max_body_bytes:,} bytes in all. JPEG, PNG, WebP, GIF (first frame), BMP, TIFF and "
            "HEIC are supported. A form with several files, or `urls` with any number of URLs, gets a list: "
            "each picture has its own prediction or its own problem. A form with one file, a raw picture, "
            "`url` and `image` get one prediction. A body of any other media type is read as a raw picture."
        ),
        "parameters": [_REQUEST_ID_PARAMETER, _TRACEPARENT_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": ref("PredictRequest")},
                "application/octet-stream": picture,
                "image/jpeg": picture,
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                        },
                        "description": "One or more files. The names of the fields do not matter. The "
                        "response is a list if there are several files.",
                    }
                },
            },
        },
        "responses": {
            "200": _answer(
                {"anyOf": [ref("Prediction"), ref("Predictions")]},
                "The prediction; a list of predictions for `urls` and for a form with several files",
            ),
            **_problems((*_PREDICT_CAUSES, "cross-site-url")),
        },
    }


def _tfserving_paths(base: str, parameters: list[Json], settings: Settings) -> Json:
    return {
        base + ":predict": {"parameters": parameters, "post": _tfserving_predict(settings)},
        base: {
            "parameters": parameters,
            "get": _get(
                "The status of the version, as TensorFlow Serving returns it", "ModelStatus", _MODEL_CAUSES
            ),
        },
        base + "/metadata": {
            "parameters": parameters,
            "get": _get(
                "The signatures of the version, as TensorFlow Serving returns them", "Metadata", _MODEL_CAUSES
            ),
        },
    }


def _tfserving_predict(settings: Settings) -> Json:
    return {
        "summary": "Classify pictures with the REST API of TensorFlow Serving",
        "description": "Returns the probabilities, in the order of the classes of the model.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("TfServingRequest")}},
        },
        "responses": {
            "200": _answer(ref("TfServingResponse"), "The probabilities"),
            **_problems((*_PREDICT_CAUSES, "not-found")),
        },
    }


def _get(summary: str, schema: str, causes: Iterable[str]) -> Json:
    return {"summary": summary, "responses": {"200": _answer(ref(schema), summary), **_problems(causes)}}


def _file(summary: str, media_type: str) -> Json:
    content = {media_type: {"schema": {"type": "string"}}}
    file = {"description": summary, "headers": _REQUEST_ID, "content": content}
    return {"summary": summary, "responses": {"200": file, **_problems(())}}


def _answer(schema: Json, description: str) -> Json:
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {"application/json": {"schema": schema}},
    }


def _problems(causes: Iterable[str]) -> Json:
    """The responses for these causes and for those that any request may have, one for each status."""
    titles: dict[int, list[str]] = {}
    for cause in dict.fromkeys((*causes, *_UNREADABLE_CAUSES)):
        status, title, _ = CAUSES[cause]
        titles.setdefault(status, []).append(f"{title} (`{cause}`)")
    responses: Json = {}
    for status, texts in sorted(titles.items()):
        headers = {**_REQUEST_ID, "Link": {"$ref": "#/components/headers/Help"}}
        if status == 503:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        responses[str(status)] = {
            "description": ". ".join(texts) + ".",
            "headers": headers,
            "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
        }
    return responses
