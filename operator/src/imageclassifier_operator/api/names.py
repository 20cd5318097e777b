"""Names: the API group, labels, annotations, ports, files, and the names of an ImageClassifier's children.

The name of every child is computed from the name of its ImageClassifier, so none has to be stored.
"""

import hashlib
from typing import Any, Literal

GROUP = "imageclassifier.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ImageClassifier"
PLURAL = "imageclassifiers"

Component = Literal["serving", "gateway", "verify"]

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_MODEL_VERSION = f"{GROUP}/version"
APP = "imageclassifier"
MANAGER = "imageclassifier-operator"

CHILDREN_SELECTOR = f"{LABEL_NAME}={APP},{LABEL_MANAGED_BY}={MANAGER}"
"""The label selector of all children of all ImageClassifiers."""

ANNOTATION_MANIFEST_HASH = f"{GROUP}/manifest-hash"
ANNOTATION_INPUT_HASH = f"{GROUP}/input-hash"
ANNOTATION_SOURCE_HASH = f"{GROUP}/source-hash"
ANNOTATION_SERVED_VERSION = f"{GROUP}/served-version"
ANNOTATION_HAS_SERVED = f"{GROUP}/has-served"
ANNOTATION_POD_HASH = f"{GROUP}/pod-hash"
ANNOTATION_PLAN = f"{GROUP}/plan.json"
ANNOTATION_ACCESS = f"{GROUP}/access"
ANNOTATION_MODEL_CONFIG = f"{GROUP}/models.config"
ANNOTATION_BATCHING_CONFIG = f"{GROUP}/batching.config"

ROUTING_FILE = "routing.json"
"""In the ConfigMap `<name>-routing`: which version gets which requests, for the gateways."""
STATE_FILE = "state.json"
"""In the same ConfigMap: the state of the rollout, for the operator."""

MODEL_SERVER = "model-server"
"""The container of TensorFlow Serving."""
GATEWAY_CONTAINER = "gateway"
VERIFY_CONTAINER = "verify"

MODEL_GRPC_PORT = 8500
GATEWAY_PORT = 9696
GATEWAY_INTERNAL_PORT = 9697

_MAX_LABEL_CHARACTERS = 63  # the name of a Job is also a label of its pods
_DIGEST_CHARACTERS = 12
SHORTEST_CUT_NAME = _MAX_LABEL_CHARACTERS - len("-verify-v2147483647-") - _DIGEST_CHARACTERS
"""The name of a verification Job has at least this many characters of its ImageClassifier's name."""


def serving_name(name: str, version: int) -> str:
    """The Deployment, headless Service and PodDisruptionBudget of one version.

    >>> serving_name("pizza", 2)
    'pizza-serving-v2'
    """
    return f"{name}-serving-v{version}"


def serving_target(name: str, namespace: str, version: int) -> str:
    """The gRPC target that resolves to every ready pod of one version.

    >>> serving_target("pizza", "default", 2)
    'dns:///pizza-serving-v2.default.svc:8500'
    """
    return f"dns:///{serving_name(name, version)}.{namespace}.svc:{MODEL_GRPC_PORT}"


def gateway_name(name: str) -> str:
    """The Deployment, Service, PodDisruptionBudget, NetworkPolicy and Ingress of the gateway."""
    return f"{name}-gateway"


def routing_name(name: str) -> str:
    """The ConfigMap with the routing file and the state of the rollout."""
    return f"{name}-routing"


def verify_name(name: str, version: int, attempt: str) -> str:
    """The Job that verifies one version in one attempt, and the ConfigMap with its plan.

    A name that is too long for a label is cut and ends with a digest of the whole name.

    >>> verify_name("pizza", 2, "0123456789ab")
    'pizza-verify-v2-0123456789ab'
    """
    full = f"{name}-verify-v{version}-{attempt}"
    if len(full) <= _MAX_LABEL_CHARACTERS:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    end = f"-verify-v{version}-{digest}"
    return name[: _MAX_LABEL_CHARACTERS - len(end)].rstrip("-") + end


def serving_policy_name(name: str) -> str:
    """The NetworkPolicy of all model servers."""
    return f"{name}-serving"


def verify_policy_name(name: str) -> str:
    """The NetworkPolicy of the verification Jobs."""
    return f"{name}-verify"


def autoscaler_name(name: str) -> str:
    """The HorizontalPodAutoscaler."""
    return name


def gateway_autoscaler_name(name: str) -> str:
    """The HorizontalPodAutoscaler of the gateway."""
    return gateway_name(name)


def selector(name: str, component: Component, version: int | None = None) -> dict[str, str]:
    """The labels that select the pods of one component, or of one model version of it."""
    labels = {LABEL_NAME: APP, LABEL_INSTANCE: name, LABEL_COMPONENT: component}
    if version is not None:
        labels[LABEL_MODEL_VERSION] = str(version)
    return labels


def labels(name: str, component: Component | None = None, version: int | None = None) -> dict[str, str]:
    """The labels of a child."""
    result = {LABEL_NAME: APP, LABEL_INSTANCE: name, LABEL_MANAGED_BY: MANAGER}
    if component is not None:
        result[LABEL_COMPONENT] = component
    if version is not None:
        result[LABEL_MODEL_VERSION] = str(version)
    return result


def selector_string(matching: dict[str, str]) -> str:
    """Labels in the form of the scale subresource and of `kubectl -l`.

    >>> selector_string({"a": "1", "b": "2"})
    'a=1,b=2'
    """
    return ",".join(f"{key}={value}" for key, value in sorted(matching.items()))


def owner_reference(name: str, uid: str) -> dict[str, Any]:
    """The owner reference with which Kubernetes deletes a child together with its ImageClassifier.

    `blockOwnerDeletion` is not set: it would need rights on the ImageClassifier's finalizers, and only delays
    a foreground deletion.
    """
    return {"apiVersion": API_VERSION, "kind": KIND, "name": name, "uid": uid, "controller": True}
