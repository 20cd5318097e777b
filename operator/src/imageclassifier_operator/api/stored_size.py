"""The most that is stored of a model version, so that no object that holds it becomes too large.

A version with its contract and its settings is stored in an annotation of its Deployment (all annotations of
an object may have 256 KiB), and in the routing ConfigMap (1 MiB), which holds up to three versions and, in
the routing file, their contracts once more.
"""

import json

from imageclassifier_operator.api.class_list import MAX_STORED_BYTES
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.model_version import ModelVersion

MAX_VERSION_BYTES = 200 * 1024
_MAX_VERSIONS = 3
_CONFIG_MAP_BYTES = 2**20
assert _MAX_VERSIONS * (MAX_VERSION_BYTES + MAX_STORED_BYTES) < 0.97 * _CONFIG_MAP_BYTES


def refuse_too_large(version: ModelVersion) -> None:
    """Raise InvalidSpec if the version needs more space than its objects have."""
    parts = version.to_json()
    total = _size(parts)
    if total > MAX_VERSION_BYTES:
        contract, serving = _size(parts["contract"]), _size(parts["serving"])
        raise InvalidSpec(
            f"Version {version.version} needs {total:,} bytes; at most {MAX_VERSION_BYTES:,} can be stored: "
            f"{serving:,} of spec.serving, and {contract:,} of the classes, input and output. Shorten "
            "spec.serving.template, or put the classes into the directory of the model and set "
            "spec.classesFrom.modelFile."
        )


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
