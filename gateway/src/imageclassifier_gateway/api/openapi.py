"""The OpenAPI document of the public API (`/openapi.json`); schemathesis checks it in a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from imageclassifier_gateway import __version__

from ..config import Settings
from ..contract import SERVING_SIGNATURE
from ..problems import CAUSES, MEDIA_TYPE, TYPE_PREFIX

_Json = dict[str, Any]

_PREDICT_CAUSES = (
    "bad-request", "body-too-slow", "too-large", "not-a-picture", "broken-picture", "unsupported-picture",
    "url-refused", "url-not-fetched", "model-error", "overloaded", "not-ready", "model-unavailable",
    "model-timeout", "timeout",
)  # fmt: skip
#: Of requests that are refused before anybody knows what they ask for.
_UNREADABLE_CAUSES = ("bad-request", "url-too-long", "headers-too-large")
_MODEL_CAUSES = (
    "not-found", "model-error", "overloaded", "not-ready", "model-unavailable", "model-timeout",
)  # fmt: skip


def openapi_document(settings: Settings) -> _Json:
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
        "components": {"schemas": _schemas(settings), "headers": _HEADERS},
    }


_MODEL: _Json = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "The name of the model. Any other name gets 404.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]+$"},
}
_VERSION: _Json = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "The number of a version. Only the serving version classifies pictures; others get 404.",
    "schema": {"type": "integer", "minimum": 0},
}
_REQUEST_ID_PARAMETER: _Json = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Identifies the request in the response and in the logs. The gateway generates an id if "
    "this one is "
    "missing or has unusual characters.",
    "schema": {"type": "string"},
}
_TRACEPARENT_PARAMETER: _Json = {
    "name": "traceparent",
    "in": "header",
    "description": "W3C Trace Context. The gateway passes it on to the model server.",
    "schema": {"type": "string"},
}
_HEADERS: _Json = {
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
_REQUEST_ID: _Json = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}


def _predict(settings: Settings) -> _Json:
    picture = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {
        "operationId": "predict",
        "summary": "Classify one picture, or several",
        "description": (
            f"At most {settings.max_pictures} pictures of {settings.max_image_bytes:,} bytes each, and "
            f"{settings.max_body_bytes:,} bytes in all. JPEG, PNG, WebP, GIF (first frame), BMP, TIFF and "
            "HEIC are supported. A form with several files, or `urls` with any number of URLs, gets a "
            "list: each "
            "picture has its own prediction or its own problem. A form with one file, a raw picture, `url` "
            "and "
            "`image` get one prediction. A body of any other media type is read as a raw picture."
        ),
        "parameters": [_REQUEST_ID_PARAMETER, _TRACEPARENT_PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _ref("PredictRequest")},
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
                        "response is a list if there are "
                        "several files.",
                    }
                },
            },
        },
        "responses": {
            "200": _answer(
                {"anyOf": [_ref("Prediction"), _ref("Predictions")]},
                "The prediction; a list of predictions for `urls` and for a form with several files",
            ),
            **_problems((*_PREDICT_CAUSES, "cross-site-url")),
        },
    }


def _tfserving_paths(base: str, parameters: list[_Json], settings: Settings) -> _Json:
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


def _tfserving_predict(settings: Settings) -> _Json:
    return {
        "summary": "Classify pictures with the REST API of TensorFlow Serving",
        "description": "Returns the probabilities, in the order of the classes of the model.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("TfServingRequest")}},
        },
        "responses": {
            "200": _answer(_ref("TfServingResponse"), "The probabilities"),
            **_problems((*_PREDICT_CAUSES, "not-found")),
        },
    }


def _get(summary: str, schema: str, causes: Iterable[str]) -> _Json:
    return {"summary": summary, "responses": {"200": _answer(_ref(schema), summary), **_problems(causes)}}


def _file(summary: str, media_type: str) -> _Json:
    content = {media_type: {"schema": {"type": "string"}}}
    file = {"description": summary, "headers": _REQUEST_ID, "content": content}
    return {"summary": summary, "responses": {"200": file, **_problems(())}}


def _answer(schema: _Json, description: str) -> _Json:
    return {
        "description": description,
        "headers": _REQUEST_ID,
        "content": {"application/json": {"schema": schema}},
    }


def _problems(causes: Iterable[str]) -> _Json:
    """One response for each status, naming its causes, and those that any request may have."""
    titles: dict[int, list[str]] = {}
    for cause in dict.fromkeys((*causes, *_UNREADABLE_CAUSES)):
        status, title, _ = CAUSES[cause]
        titles.setdefault(status, []).append(f"{title} (`{cause}`)")
    responses: _Json = {}
    for status, texts in sorted(titles.items()):
        headers = {**_REQUEST_ID, "Link": {"$ref": "#/components/headers/Help"}}
        if status == 503:
            headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
        responses[str(status)] = {
            "description": ". ".join(texts) + ".",
            "headers": headers,
            "content": {MEDIA_TYPE: {"schema": _ref("Problem")}},
        }
    return responses


def _ref(name: str) -> _Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: _Json, optional: tuple[str, ...] = (), **more: Any) -> _Json:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def _schemas(settings: Settings) -> _Json:
    text, probability = {"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}
    url = {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2048}
    picture = {"anyOf": [_ref("Base64"), {"type": "object", "minProperties": 1, "maxProperties": 1}]}
    pictures = {"type": "array", "items": picture, "minItems": 1, "maxItems": settings.max_pictures}
    decision = {
        "prediction": {**text, "description": "The message of the predicted class."},
        "label": {**text, "description": "The name of the predicted class."},
        "probability": {**probability, "description": "The probability of the predicted class."},
        "probabilities": {"type": "object", "additionalProperties": probability},
    }
    shared = {
        "model": _object({"name": text, "version": {"type": "integer", "minimum": 1}}),
        "request_id": text,
        "timings_ms": {
            "type": "object",
            "description": "Milliseconds that the request spent in each stage, and in total.",
            "additionalProperties": {"type": "number", "minimum": 0},
        },
    }
    name = {"type": ["string", "null"], "description": "The name of the file, or the URL."}
    return {
        "PredictRequest": {
            "oneOf": [
                _object({"url": url}),
                _object(
                    {
                        "urls": {
                            "type": "array",
                            "items": url,
                            "minItems": 1,
                            "maxItems": settings.max_pictures,
                        }
                    }
                ),
                _object(
                    {
                        "image": {
                            **text,
                            "minLength": 1,
                            "description": "The picture in base64, or a data URL with base64.",
                        }
                    }
                ),
            ],
            "examples": [{"url": "https://example.org/pizza.jpg"}],
        },
        "Prediction": _object({**decision, **shared}),
        "Predictions": _object(
            {
                "results": {
                    "type": "array",
                    "items": {
                        "anyOf": [
                            _object({"name": name, **decision}),
                            _object({"name": name, "error": _ref("Problem")}),
                        ]
                    },
                },
                **shared,
            }
        ),
        "Problem": {
            "type": "object",
            "description": "RFC 9457.",
            "required": ["type", "title", "status", "detail", "request_id"],
            "properties": {
                "type": {"enum": [TYPE_PREFIX + cause for cause in CAUSES]},
                "title": text,
                "status": {"type": "integer"},
                "detail": {**text, "description": "What is wrong, and what to do."},
                "request_id": text,
                "error": {
                    **text,
                    "description": "The same text as `detail`, in the field that clients of TensorFlow "
                    "Serving read.",
                },
            },
        },
        "Base64": _object({"b64": {**text, "description": "A picture in base64."}}),
        "TfServingRequest": {
            "type": "object",
            "properties": {
                "signature_name": {"enum": ["", SERVING_SIGNATURE]},
                "instances": pictures,
                "inputs": {"anyOf": [pictures, {"type": "object", "minProperties": 1, "maxProperties": 1}]},
            },
            "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
        },
        "TfServingResponse": {
            "type": "object",
            "properties": {
                name: {"type": "array", "items": {"type": "array", "items": probability}}
                for name in ("predictions", "outputs")
            },
            "oneOf": [{"required": ["predictions"]}, {"required": ["outputs"]}],
        },
        "ModelStatus": _object({"model_version_status": {"type": "array", "items": {"type": "object"}}}),
        "Metadata": _object({"model_spec": {"type": "object"}, "metadata": {"type": "object"}}),
        "AnyObject": {"type": "object"},
    }
