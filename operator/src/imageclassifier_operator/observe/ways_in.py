"""How users reach the gateway: the URL, and what keeps them from it. Pure."""

from imageclassifier_operator.api import GatewaySettings, ImageClassifier, names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.log_excerpts import one_line


def url(ic: ImageClassifier, service: Json | None) -> str:
    """The URL for users; empty while a load balancer has no address.

    For a NodePort it is the URL inside the cluster, since the operator does not know which node addresses
    users can reach. For an Ingress or HTTPRoute with a wildcard host it is empty.
    """
    ingress, route = ic.gateway.ingress, ic.gateway.http_route
    if ingress is not None:
        return _host_url(ingress.host, "http" if ingress.tls_secret_name is None else "https")
    if route is not None:
        return _host_url(route.hostnames[0], route.scheme, route.path_prefix) if route.hostnames else ""
    balancer = ((service or {}).get("status") or {}).get("loadBalancer") or {}
    for address in balancer.get("ingress") or ():
        host = address.get("hostname") or address.get("ip") or ""
        if host:
            return _with_port(f"[{host}]" if ":" in host else host, ic.gateway)
    if ic.gateway.service.type != "LoadBalancer":
        return _with_port(f"{names.gateway_name(ic.name)}.{ic.namespace}.svc", ic.gateway)
    return ""


def way_in_problem(ic: ImageClassifier, service: Json | None, route: Json | None) -> str:
    """Why users outside cannot reach a classifier that is ready, and what to do; empty without a problem."""
    if ic.gateway.http_route is not None:
        return "" if route is None else _route_problem(route)
    if ic.gateway.ingress is not None or ic.gateway.service.type != "LoadBalancer":
        return ""
    if service is None or url(ic, service):
        return ""
    name, port = names.gateway_name(ic.name), ic.gateway.service.port
    return (
        f"The load balancer of Service {name} has no address yet. Kind, minikube and other clusters without "
        f"load balancers never give it one. Until then, run kubectl -n {ic.namespace} port-forward "
        f"service/{name} 8080:{port} and use {ic.gateway.scheme}://localhost:8080/."
    )


def _route_problem(route: Json) -> str:
    """Why no Gateway routes to the classifier. Each Gateway's controller writes a status of its own."""
    name, parents = route["metadata"]["name"], (route.get("status") or {}).get("parents") or ()
    if not parents:
        return (
            f"No Gateway has taken HTTPRoute {name} yet. Check that the Gateway in "
            "spec.gateway.httpRoute.parentRefs exists and has a controller."
        )
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if condition["type"] in ("Accepted", "ResolvedRefs") and condition["status"] == "False":
                gateway = (parent.get("parentRef") or {}).get("name", "")
                return (
                    f"Gateway {gateway} does not route to HTTPRoute {name} ({condition['reason']}): "
                    f"{one_line(condition.get('message'))}. Check spec.gateway.httpRoute."
                )
    return ""


def _host_url(host: str, scheme: str, path: str = "") -> str:
    return "" if host.startswith("*.") else f"{scheme}://{host}{path}/"


def _with_port(host: str, gateway: GatewaySettings) -> str:
    scheme, port = gateway.scheme, gateway.service.port
    is_usual = port == {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}/" if is_usual else f"{scheme}://{host}:{port}/"
