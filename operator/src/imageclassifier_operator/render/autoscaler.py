"""The optional HorizontalPodAutoscalers of an ImageClassifier.

That of the model servers scales the ImageClassifier through its scale subresource, and the operator copies
the number of replicas to the Deployments. That of the gateway scales the gateway's Deployment.
"""

from typing import Any

from imageclassifier_operator.api import Autoscaling, ImageClassifier, names
from imageclassifier_operator.render.shared_parts import Manifest, metadata


def autoscalers(ic: ImageClassifier, *, may_shrink: bool) -> tuple[Manifest, ...]:
    """The HorizontalPodAutoscalers that the spec has; none while the classifier is stopped.

    `may_shrink`: whether model servers may be removed. While two versions share the traffic, each has less
    load than it would have alone, so its usage says nothing about the number of pods that it needs.
    """
    if ic.stopped:
        return ()
    found = []
    if ic.autoscaling is not None:
        target = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": ic.name}
        behavior = {} if may_shrink else {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}
        found.append(_autoscaler(ic, names.autoscaler_name(ic.name), target, ic.autoscaling, behavior))
    if ic.gateway.autoscaling is not None:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": names.gateway_name(ic.name)}
        name = names.gateway_autoscaler_name(ic.name)
        found.append(_autoscaler(ic, name, target, ic.gateway.autoscaling, {}))
    return tuple(found)


def _autoscaler(
    ic: ImageClassifier, name: str, target: dict[str, str], scaling: Autoscaling, behavior: dict[str, Any]
) -> Manifest:
    utilization = {"type": "Utilization", "averageUtilization": scaling.target_cpu_utilization_percentage}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(ic, name),
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
            **behavior,
        },
    }
