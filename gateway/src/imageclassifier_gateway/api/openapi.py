"""The OpenAPI document of the public API (`/openapi.json`); schemathesis checks it in a test."""

from __future__ import annotations

from imageclassifier_gateway import __version__

from ..config import Settings
from .openapi_responses import answer, file, get, problems
from .openapi_schemas import Json, ref, schemas
from .openapi_security import require_keys

_PREDICT_CAUSES = (
    "bad-request", "body-too-slow", "too-large", "not-a-picture", "compressed-body", "broken-picture",
    "unsupported-picture", "url-refused", "url-not-fetched", "model-error", "overloaded", "not-ready",
    "model-unavailable", "model-timeout", "timeout",
)  # fmt: skip
_MODEL_CAUSES = (
    "not-found", "model-error", "overloaded", "not-ready", "model-unavailable", "model-timeout",
)  # fmt: skip


def openapi_document(settings: Settings) -> Json:
    """The OpenAPI 3.1 document for a gateway with these limits."""
    document: Json = {
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
            **_open_inference_paths(),
            "/openapi.json": {"get": get("This document", "AnyObject", ())},
            "/problems": {
                "get": file("The meaning of each problem, and what to do", "text/html; charset=utf-8")
            },
            "/": {"get": file("The page to try the model", "text/html; charset=utf-8")},
            "/page.js": {"get": file("The script of the page", "text/javascript; charset=utf-8")},
            "/page.css": {"get": file("The style sheet of the page", "text/css; charset=utf-8")},
        },
        "components": {"schemas": schemas(settings), "headers": _HEADERS},
    }
    if settings.api_keys_directory is not None:
        require_keys(document)
    return document


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


_EXPLAIN_PARAMETER: Json = {
    "name": "explain",
    "in": "query",
    "description": "`heatmap`: the response is a PNG of the picture that shows which places speak for the "
    "predicted class (orange) and which against it (blue). If the client prefers `application/json`, it is "
    "the prediction with the PNG as the data URL `heatmap`. For one picture, and for models that say where a "
    "prediction comes from.",
    "schema": {"enum": ["heatmap"]},
}


def _predict(settings: Settings) -> Json:
    picture = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
    return {
        "operationId": "predict",
        "summary": "Classify one picture, or several",
        "description": (
            f"At most {settings.max_pictures} pictures of {settings.max_image_bytes:,} bytes each, and "
            f"{settings.max_body_bytes:,} bytes in all. JPEG, PNG, WebP, GIF (first frame), BMP, TIFF, AVIF "
            "and HEIC are supported. A form with several files, or `urls` with any number of URLs, gets a "
            "list: each picture has its own prediction or its own problem. A form with one file, a raw "
            "picture, `url` and `image` get one prediction. A body of any other media type is read as a raw "
            "picture."
        ),
        "parameters": [_REQUEST_ID_PARAMETER, _TRACEPARENT_PARAMETER, _EXPLAIN_PARAMETER],
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
            "200": answer(
                {"anyOf": [ref("Prediction"), ref("Predictions")]},
                "The prediction; a list of predictions for `urls` and for a form with several files. With "
                "`explain`, the heat map",
                png=True,
            ),
            **problems((*_PREDICT_CAUSES, "cross-site-url", "no-heat-map")),
        },
    }


def _tfserving_paths(base: str, parameters: list[Json], settings: Settings) -> Json:
    return {
        base + ":predict": {"parameters": parameters, "post": _tfserving_predict(settings)},
        base: {
            "parameters": parameters,
            "get": get(
                "The status of the version, as TensorFlow Serving returns it", "ModelStatus", _MODEL_CAUSES
            ),
        },
        base + "/metadata": {
            "parameters": parameters,
            "get": get(
                "The signatures of the version, as TensorFlow Serving returns them", "Metadata", _MODEL_CAUSES
            ),
        },
    }


def _open_inference_paths() -> Json:
    paths: Json = {
        "/v2": {"get": get("The name and version of the gateway", "AnyObject", ())},
        "/v2/health/live": {"get": get("Whether the gateway runs", "AnyObject", ())},
        "/v2/health/ready": {"get": get("Whether the gateway is ready", "AnyObject", ("not-ready",))},
    }
    for base, parameters in (
        ("/v2/models/{model}", [_MODEL]),
        ("/v2/models/{model}/versions/{version}", [_MODEL, _VERSION]),
    ):
        paths[base] = {
            "parameters": parameters,
            "get": get("The inputs and outputs of the model", "AnyObject", _MODEL_CAUSES),
        }
        paths[base + "/ready"] = {
            "parameters": parameters,
            "get": get("Whether the version is ready", "AnyObject", _MODEL_CAUSES),
        }
        paths[base + "/infer"] = {"parameters": parameters, "post": _open_inference_infer()}
    return paths


def _open_inference_infer() -> Json:
    return {
        "summary": "Classify pictures with the Open Inference Protocol V2",
        "description": "Returns the probabilities, in the order of the classes of the model, and the label.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("InferenceRequest")}},
        },
        "responses": {
            "200": answer(ref("InferenceResponse"), "The outputs"),
            **problems((*_PREDICT_CAUSES, "not-found")),
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
            "200": answer(ref("TfServingResponse"), "The probabilities"),
            **problems((*_PREDICT_CAUSES, "not-found")),
        },
    }
