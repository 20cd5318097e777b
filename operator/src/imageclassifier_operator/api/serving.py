"""`spec.model` and `spec.serving`: where the model's files come from, and how the model server runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.quantity import canonical


@dataclass(frozen=True)
class ImageSource:
    """An image with the model under `/models/<model name>/<version>`, and with the command `cp`."""

    image: str
    pull_policy: str | None = None
    pull_secrets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `parse_source` reads."""
        return {
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
        }


@dataclass(frozen=True)
class VolumeSource:
    """A PersistentVolumeClaim with the model under `<path>/<version>`."""

    claim_name: str
    path: str
    pull_secrets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `parse_source` reads."""
        return {
            "persistentVolumeClaim": {"claimName": self.claim_name, "path": self.path},
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
        }


ModelSource = ImageSource | VolumeSource


def parse_source(model: Json, *, model_name: str, version: int) -> ModelSource:
    """The source in `spec.model`, with `{version}` filled in. Raises InvalidSpec for none or two."""
    image, claim = model.get("image"), model.get("persistentVolumeClaim")
    secrets = tuple(secret["name"] for secret in model.get("imagePullSecrets") or ())
    if (image is None) == (claim is None):
        raise InvalidSpec("spec.model has no source, or two. Set either image or persistentVolumeClaim.")
    if image is not None:
        return ImageSource(image.replace("{version}", str(version)), model.get("imagePullPolicy"), secrets)
    assert claim is not None
    return VolumeSource(claim["claimName"], claim.get("path") or model_name, secrets)


@dataclass(frozen=True)
class Batching:
    """The request batching of TensorFlow Serving, see its message `BatchingParameters`."""

    max_batch_size: int = 16
    timeout_microseconds: int = 0
    max_enqueued_batches: int = 100


def canonical_resources(resources: Json) -> dict[str, dict[str, str]]:
    """`resources` with all quantities in the form in which the API server stores them."""
    return {
        kind: {name: canonical(quantity) for name, quantity in (resources.get(kind) or {}).items()}
        for kind in ("requests", "limits")
        if resources.get(kind)
    }


SERVING_RESOURCES: Json = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}


@dataclass(frozen=True)
class ServingSettings:
    """`spec.serving`. Without an `image` it is the operator's default model server."""

    image: str | None = None
    image_pull_policy: str | None = None
    resources: Json = field(default_factory=lambda: SERVING_RESOURCES)
    batching: Batching | None = None
    node_selector: Json = field(default_factory=dict)
    tolerations: Sequence[Json] = ()
    affinity: Json | None = None
    priority_class_name: str | None = None

    @classmethod
    def parse(cls, serving: Json) -> Self:
        """Read `spec.serving`."""
        batching = serving.get("batching")
        return cls(
            image=serving.get("image"),
            image_pull_policy=serving.get("imagePullPolicy"),
            resources=canonical_resources(serving.get("resources", SERVING_RESOURCES)),
            batching=None
            if batching is None
            else Batching(
                batching.get("maxBatchSize", Batching.max_batch_size),
                batching.get("timeoutMicroseconds", Batching.timeout_microseconds),
                batching.get("maxEnqueuedBatches", Batching.max_enqueued_batches),
            ),
            node_selector=dict(serving.get("nodeSelector") or {}),
            tolerations=tuple(serving.get("tolerations") or ()),
            affinity=serving.get("affinity"),
            priority_class_name=serving.get("priorityClassName"),
        )

    def to_json(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        batching = self.batching
        return {
            "image": self.image,
            "imagePullPolicy": self.image_pull_policy,
            "resources": dict(self.resources),
            "batching": None
            if batching is None
            else {
                "maxBatchSize": batching.max_batch_size,
                "timeoutMicroseconds": batching.timeout_microseconds,
                "maxEnqueuedBatches": batching.max_enqueued_batches,
            },
            "nodeSelector": dict(self.node_selector),
            "tolerations": [dict(toleration) for toleration in self.tolerations],
            "affinity": self.affinity,
            "priorityClassName": self.priority_class_name,
        }
