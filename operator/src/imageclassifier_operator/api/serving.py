"""`spec.serving`: the model server."""

from dataclasses import dataclass, field
from typing import Any, Self

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.model_source import secret_names
from imageclassifier_operator.api.pod_template import PodTemplate
from imageclassifier_operator.api.quantity import canonical


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


MAX_CALLS = 64
"""Calls that a server answers at once: as many as a gateway with one core has in progress. A further call is
refused with RESOURCE_EXHAUSTED; the gateway then tries another pod, and at last answers 503. TensorFlow
Serving's own limit is four for each core of the node, whatever the pod's limit, minus one thread that
listens: 7 on two cores.
"""

SERVING_RESOURCES: Json = {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}


@dataclass(frozen=True)
class ServingSettings:
    """`spec.serving`. Without an `image` it is the operator's default model server."""

    image: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    resources: Json = field(default_factory=lambda: SERVING_RESOURCES)
    batching: Batching | None = None
    template: PodTemplate = field(default_factory=PodTemplate)

    @classmethod
    def parse(cls, serving: Json) -> Self:
        """Read `spec.serving`."""
        batching = serving.get("batching")
        return cls(
            image=serving.get("image"),
            image_pull_policy=serving.get("imagePullPolicy"),
            image_pull_secrets=secret_names(serving.get("imagePullSecrets")),
            resources=canonical_resources(serving.get("resources", SERVING_RESOURCES)),
            batching=None
            if batching is None
            else Batching(
                batching.get("maxBatchSize", Batching.max_batch_size),
                batching.get("timeoutMicroseconds", Batching.timeout_microseconds),
                batching.get("maxEnqueuedBatches", Batching.max_enqueued_batches),
            ),
            template=PodTemplate.parse(serving.get("template")),
        )

    def to_json(self) -> dict[str, Any]:
        """The inverse of `parse`."""
        batching = self.batching
        return {
            "image": self.image,
            "imagePullPolicy": self.image_pull_policy,
            "imagePullSecrets": [{"name": name} for name in self.image_pull_secrets],
            "resources": dict(self.resources),
            "batching": None
            if batching is None
            else {
                "maxBatchSize": batching.max_batch_size,
                "timeoutMicroseconds": batching.timeout_microseconds,
                "maxEnqueuedBatches": batching.max_enqueued_batches,
            },
            **({"template": template} if (template := self.template.to_json()) else {}),
        }
