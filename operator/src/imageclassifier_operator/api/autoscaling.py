"""`spec.autoscaling` and `spec.gateway.autoscaling`: the range and the target of an autoscaler."""

from dataclasses import dataclass
from typing import Self

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class Autoscaling:
    """The range of replicas, and the CPU usage in percent of the request at which pods are added."""

    max_replicas: int
    min_replicas: int = 1
    target_cpu_utilization_percentage: int = 80

    @classmethod
    def parse(cls, autoscaling: Json | None, field: str) -> Self | None:
        """Read the value of `field`; None if the spec has none."""
        if autoscaling is None:
            return None
        parsed = cls(
            max_replicas=autoscaling["maxReplicas"],
            min_replicas=autoscaling.get("minReplicas", cls.min_replicas),
            target_cpu_utilization_percentage=autoscaling.get(
                "targetCPUUtilizationPercentage", cls.target_cpu_utilization_percentage
            ),
        )
        if parsed.min_replicas > parsed.max_replicas:
            raise InvalidSpec(
                f"{field}.minReplicas ({parsed.min_replicas}) is greater than "
                f"maxReplicas ({parsed.max_replicas}). Lower one or raise the other."
            )
        return parsed
