"""`template` of model servers, gateway or verifications: what a user adds to their pods.

The CRD says which fields there are, and refuses the others with a reason. The fields of a pod keep their
form: the API server checks it when the operator writes the Deployment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.names import MODEL_SERVER

POD_FIELDS = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "serviceAccountName",
    "securityContext",
    "volumes",
    "dnsConfig",
    "hostAliases",
)
"""The fields of a pod, without its containers."""

CONTAINER_FIELDS = ("env", "envFrom", "volumeMounts", "args")
"""The fields of the container."""


@dataclass(frozen=True)
class PodTemplate:
    """Fields of a pod in the form of the Kubernetes API. `container`: those of the only container."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod: Json = field(default_factory=dict)
    container: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, template: Json | None) -> Self:
        """Read a `template`. Fields without a value do not count, except for `securityContext`."""
        metadata, spec = (template or {}).get("metadata") or {}, (template or {}).get("spec") or {}
        containers: Sequence[Json] = spec.get("containers") or ({},)
        return cls(
            labels=dict(metadata.get("labels") or {}),
            annotations=dict(metadata.get("annotations") or {}),
            pod={
                name: spec[name]
                for name in POD_FIELDS
                if spec.get(name) or (name == "securityContext" and name in spec)
            },
            container={name: containers[0][name] for name in CONTAINER_FIELDS if containers[0].get(name)},
        )

    def to_json(self) -> dict[str, Any]:
        """The inverse of `parse`; empty for an empty template. Only templates of model servers are stored."""
        metadata = {"labels": dict(self.labels), "annotations": dict(self.annotations)}
        spec: dict[str, Any] = dict(self.pod)
        if self.container:
            spec["containers"] = [{"name": MODEL_SERVER, **self.container}]
        parts = {"metadata": {name: value for name, value in metadata.items() if value}, "spec": spec}
        return {name: value for name, value in parts.items() if value}
