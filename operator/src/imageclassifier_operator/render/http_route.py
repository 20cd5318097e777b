"""The optional HTTPRoute of the Gateway API, in front of the gateway's Service."""

from typing import Any

from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.api.kinds import HTTP_ROUTES
from imageclassifier_operator.render.shared_parts import Manifest, metadata


def http_routes(ic: ImageClassifier) -> tuple[Manifest, ...]:
    """The HTTPRoute, if the spec has one."""
    route = ic.gateway.http_route
    if route is None:
        return ()
    name = names.gateway_name(ic.name)
    spec: dict[str, Any] = {
        "parentRefs": [dict(parent) for parent in route.parent_refs],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [{"name": name, "port": ic.gateway.service.port}],
            }
        ],
    }
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    meta = metadata(ic, name, component="gateway", annotations=dict(route.annotations))
    return (
        {"apiVersion": HTTP_ROUTES.api_version, "kind": HTTP_ROUTES.kind, "metadata": meta, "spec": spec},
    )
