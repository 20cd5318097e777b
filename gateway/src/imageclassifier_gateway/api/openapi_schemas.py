"""The JSON schemas of requests and responses in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from ..config import Settings
from ..contract import SERVING_SIGNATURE
from ..problems import CAUSES, TYPE_PREFIX

Json = dict[str, Any]


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, optional: tuple[str, ...] = (), **more: Any) -> Json:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


#: The parts of a prediction that not every one has.
_OPTIONAL = ("display_name", "familiarity")


def _familiarity() -> Json:
    distance = {"type": "number", "minimum": 0}
    return _object(
        {
            "distance": {**distance, "description": "How far the picture is from the training pictures."},
            "limit": {
                "type": ["number", "null"],
                "description": "The distance beyond which a prediction has no label; null if there is none.",
            },
            "familiar": {"type": "boolean", "description": "Whether the distance is within the limit."},
        },
        description="Only for models that say how far a picture is from their training pictures.",
    )


def _inference_input(settings: Settings) -> Json:
    picture = {"type": "string", "minLength": 1, "description": "A picture in base64."}
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"const": "BYTES"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {
                "type": "array",
                "items": picture,
                "minItems": 1,
                "maxItems": settings.max_pictures,
            },
        },
        "required": ["name", "datatype", "shape", "data"],
    }


def schemas(settings: Settings) -> Json:
    """The schemas of a gateway with these limits, by name."""
    text, probability = {"type": "string"}, {"type": "number", "minimum": 0, "maximum": 1}
    url = {
        "type": "string",
        "format": "uri",
        "minLength": 1,
        "description": "An http or https URL of at most 8,192 characters, or a data URL with base64.",
    }
    picture = {"anyOf": [ref("Base64"), {"type": "object", "minProperties": 1, "maxProperties": 1}]}
    pictures = {"type": "array", "items": picture, "minItems": 1, "maxItems": settings.max_pictures}
    decision = {
        "prediction": {**text, "description": "The message of the predicted class."},
        "label": {
            "type": ["string", "null"],
            "description": "The name of the predicted class; null if the prediction is "
            "unsure, because its probability is below the limit, or if the picture is unlike the training "
            "pictures.",
        },
        "display_name": {
            **text,
            "description": "What people call the predicted class, if the label is an identifier.",
        },
        "probability": {**probability, "description": "The probability of the predicted class."},
        "probabilities": {"type": "object", "additionalProperties": probability},
        "familiarity": _familiarity(),
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
                            # An invalid URL fails in its own result, not the whole request.
                            "items": {
                                **text,
                                "description": "A URL, as above. One that is invalid gets an error "
                                "in its result; the others are still classified.",
                            },
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
        "Prediction": _object(
            {
                **decision,
                **shared,
                "heatmap": {**text, "description": "A PNG as a data URL, with `explain`."},
            },
            (*_OPTIONAL, "heatmap"),
        ),
        "Predictions": _object(
            {
                "results": {
                    "type": "array",
                    "items": {
                        "anyOf": [
                            _object({"name": name, **decision}, _OPTIONAL),
                            _object({"name": name, "error": ref("Problem")}),
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
        "InferenceRequest": {
            "type": "object",
            "properties": {
                "id": text,
                "inputs": {
                    "type": "array",
                    "items": _inference_input(settings),
                    "minItems": 1,
                    "maxItems": 1,
                },
            },
            "required": ["inputs"],
        },
        "InferenceResponse": _object(
            {
                "model_name": text,
                "model_version": text,
                "id": text,
                "outputs": {"type": "array", "items": {"type": "object"}},
            },
            optional=("id",),
        ),
        "ModelStatus": _object({"model_version_status": {"type": "array", "items": {"type": "object"}}}),
        "Metadata": _object({"model_spec": {"type": "object"}, "metadata": {"type": "object"}}),
        "AnyObject": {"type": "object"},
    }
