"""What the Deployment of a model server says about its version. Pure.

The annotations have hashes too. An earlier release may have computed those differently, so a comparison takes
the hash of the stored inputs, as this release computes it.
"""

import functools
import json

from imageclassifier_operator.api import InvalidSpec, ModelVersion, names
from imageclassifier_operator.api.json import Json


def model_version(deployment: Json) -> ModelVersion | None:
    """The version in the annotations of a serving Deployment; None if they cannot be read."""
    text = _annotations(deployment).get(names.ANNOTATION_SERVED_VERSION)
    return None if text is None else _parsed(text)


def has_served(deployment: Json) -> bool:
    """Whether the Deployment is marked: its version has had traffic."""
    return _annotations(deployment).get(names.ANNOTATION_HAS_SERVED) == "true"


def input_hash(deployment: Json) -> str:
    """The hash of the inputs from which the Deployment was made; empty if it does not say."""
    version = model_version(deployment)
    if version is not None:
        return version.input_hash
    return _annotations(deployment).get(names.ANNOTATION_INPUT_HASH, "")


def present_pod_hash(deployment: Json, wanted: ModelVersion) -> str | None:
    """The hash in the pods of the Deployment, if they are made from the inputs of `wanted`.

    A Deployment keeps it. Another one would replace the pods.
    """
    found, computed = (
        _annotations(deployment["spec"]["template"]).get(names.ANNOTATION_POD_HASH),
        wanted.pod_hash,
    )
    if found == computed:
        return found
    present = model_version(deployment)
    return found if present is not None and present.pod_hash == computed else None


@functools.lru_cache(maxsize=64)  # a reconciliation needs it several times; two versions for each worker
def _parsed(text: str) -> ModelVersion | None:
    try:
        return ModelVersion.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, InvalidSpec):
        return None


def _annotations(body: Json) -> dict[str, str]:
    return (body.get("metadata") or {}).get("annotations") or {}
