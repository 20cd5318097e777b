"""The optional HorizontalPodAutoscaler of an ImageClassifier.

It scales the ImageClassifier through its scale subresource, and the operator copies the number of replicas to
the Deployments. So a new version starts with as many pods as the serving version has at that moment.
"""

from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.render.manifest import Manifest, metadata


def autoscaler(ic: ImageClassifier) -> tuple[Manifest, ...]:
    """The HorizontalPodAutoscaler, if the spec has `autoscaling` and the classifier is not stopped."""
    scaling = ic.autoscaling
    if scaling is None or ic.stopped:
        return ()
    return (
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": metadata(ic, names.autoscaler_name(ic.name)),
            "spec": {
                "scaleTargetRef": {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": ic.name,
                },
                "minReplicas": scaling.min_replicas,
                "maxReplicas": scaling.max_replicas,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {
                                "type": "Utilization",
                                "averageUtilization": scaling.target_cpu_utilization_percentage,
                            },
                        },
                    }
                ],
            },
        },
    )
