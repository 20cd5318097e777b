"""The kinds of objects that the operator watches and writes, with their API paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import names

FIELD_MANAGER = names.MANAGER
"""The field manager for children."""
STATUS_FIELD_MANAGER = f"{names.MANAGER}-status"
"""The field manager for the status. With one manager for both, each apply would drop the other's fields."""


@dataclass(frozen=True)
class Kind:
    """One resource of the API. `ours`: children of ImageClassifiers, watched by our labels.

    `optional`: a cluster may lack it, as it comes with a CRD of others.
    """

    group: str
    version: str
    kind: str
    plural: str
    ours: bool = True
    optional: bool = False

    @property
    def api_version(self) -> str:
        """The `apiVersion` of a manifest of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of its subresource.

        >>> Kind("apps", "v1", "Deployment", "deployments").path("default", "pizza")
        '/apis/apps/v1/namespaces/default/deployments/pizza'
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return "/".join(part for part in (f"{root}{scope}/{self.plural}", name, subresource) if part)


IMAGE_CLASSIFIERS = Kind(names.GROUP, names.VERSION, names.KIND, names.PLURAL, ours=False)
EVENTS = Kind("", "v1", "Event", "events", ours=False)
WARNINGS = EVENTS
"""The same kind, watched for warnings about pods and Jobs."""
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases", ours=False)

DEPLOYMENTS = Kind("apps", "v1", "Deployment", "deployments")
SERVICES = Kind("", "v1", "Service", "services")
CONFIG_MAPS = Kind("", "v1", "ConfigMap", "configmaps")
PODS = Kind("", "v1", "Pod", "pods")
JOBS = Kind("batch", "v1", "Job", "jobs")
DISRUPTION_BUDGETS = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
AUTOSCALERS = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
INGRESSES = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")
HTTP_ROUTES = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", optional=True)

CHILDREN = (
    DEPLOYMENTS,
    SERVICES,
    CONFIG_MAPS,
    JOBS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    AUTOSCALERS,
    INGRESSES,
    HTTP_ROUTES,
)
"""The kinds that the operator renders, compares and writes. Pods are only watched."""

WATCHED = (IMAGE_CLASSIFIERS, *CHILDREN, PODS, WARNINGS)

_BY_NAME = {(kind.api_version, kind.kind): kind for kind in (*CHILDREN, PODS)}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a rendered child."""
    return _BY_NAME[manifest["apiVersion"], manifest["kind"]]
