"""The optional HTTPRoute of the Gateway API, in front of the gateway's Service."""

from typing import Any

from imageclassifier_operator.api import GatewayHttpRoute, ImageClassifier, names
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
        "rules": _rules(route, {"name": name, "port": ic.gateway.service.port}),
    }
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    meta = metadata(ic, name, component="gateway", annotations=dict(route.annotations))
    return (
        {"apiVersion": HTTP_ROUTES.api_version, "kind": HTTP_ROUTES.kind, "metadata": meta, "spec": spec},
    )


def _rules(route: GatewayHttpRoute, backend: Manifest) -> list[Manifest]:
    filters = [dict(each) for each in route.filters]
    if not route.path_prefix:
        return [_rule("PathPrefix", "/", filters, backend)]
    below = f"{route.path_prefix}/"
    # The links of the page are relative, so its path needs the / at the end.
    redirect = {"path": {"type": "ReplaceFullPath", "replaceFullPath": below}}
    rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
    return [
        _rule("Exact", route.path_prefix, [{"type": "RequestRedirect", "requestRedirect": redirect}]),
        _rule("PathPrefix", below, [{"type": "URLRewrite", "urlRewrite": rewrite}, *filters], backend),
    ]


def _rule(match: str, path: str, filters: list[Manifest], backend: Manifest | None = None) -> Manifest:
    return {
        "matches": [{"path": {"type": match, "value": path}}],
        **({"filters": filters} if filters else {}),
        **({"backendRefs": [backend]} if backend else {}),
    }
