"""The NetworkPolicies: who may talk to an ImageClassifier's pods, and to whom they may talk.

- Model servers are reached by the gateway and the verification Jobs of the same ImageClassifier, and reach
nobody.
- The gateway is reached by anybody on its public port and by the operator on its internal one. It reaches
DNS, the
  model servers, and, to fetch pictures, the public internet; private networks only when the spec allows them.
- A verification Job is reached by nobody, and reaches what the gateway reaches.

The kubelet's probes come from the node, which network plugins let through.
"""

from typing import Any

from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.render.manifest import Manifest, Settings, metadata

# The gateway's own rules (imageclassifier_gateway.addresses) as address blocks, a second fence around the
# first; a test holds the two together. Addresses that carry an IPv4 address (NAT64) are closed here: a block
# cannot look inside.
_PRIVATE_IPV4 = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
_FORBIDDEN_IPV4 = (
    "0.0.0.0/8",
    "100.100.100.200/32",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
_PUBLIC_IPV6 = {
    "cidr": "2000::/3",  # all that IANA has given out for global unicast
    "except": ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
}
_PRIVATE_IPV6 = {"cidr": "fc00::/7", "except": ["fd00:ec2::/32", "fd20:ce::/32"]}

_NODE_LOCAL_DNS = "169.254.20.10/32"


def network_policies(ic: ImageClassifier, settings: Settings) -> tuple[Manifest, ...]:
    return (
        _policy(
            ic,
            names.serving_policy_name(ic.name),
            "serving",
            ingress=[
                {
                    "from": [
                        {"podSelector": {"matchLabels": names.selector(ic.name, "gateway")}},
                        {"podSelector": {"matchLabels": names.selector(ic.name, "verify")}},
                    ],
                    "ports": [_tcp(names.MODEL_GRPC_PORT)],
                }
            ],
            egress=[],
        ),
        _policy(
            ic,
            names.gateway_name(ic.name),
            "gateway",
            ingress=[
                {"ports": [_tcp(names.GATEWAY_PORT)]},
                {
                    "from": [
                        {
                            "namespaceSelector": {
                                "matchLabels": {"kubernetes.io/metadata.name": settings.operator_namespace}
                            },
                            "podSelector": {"matchLabels": {names.LABEL_NAME: names.MANAGER}},
                        }
                    ],
                    "ports": [_tcp(names.GATEWAY_INTERNAL_PORT)],
                },
            ],
            egress=_client_egress(ic),
        ),
        _policy(
            ic,
            names.verify_policy_name(ic.name),
            "verify",
            ingress=[],
            egress=_client_egress(ic),
        ),
    )


def _policy(
    ic: ImageClassifier,
    name: str,
    component: names.Component,
    *,
    ingress: list[Manifest],
    egress: list[Manifest],
) -> Manifest:
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": names.selector(ic.name, component)},
        "policyTypes": ["Ingress", "Egress"],
    }
    # The API server leaves out an empty list, which would look like a change; the types alone close both
    # ways.
    if ingress:
        spec["ingress"] = ingress
    if egress:
        spec["egress"] = egress
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(ic, name, component=component),
        "spec": spec,
    }


def _client_egress(ic: ImageClassifier) -> list[Manifest]:
    return [
        {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
                    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
                },
                {"ipBlock": {"cidr": _NODE_LOCAL_DNS}},
            ],
            "ports": [{"port": 53, "protocol": "UDP"}, _tcp(53)],
        },
        {
            "to": [{"podSelector": {"matchLabels": names.selector(ic.name, "serving")}}],
            "ports": [_tcp(names.MODEL_GRPC_PORT)],
        },
        _pictures(allow_private_networks=ic.gateway.urls.allow_private_networks),
    ]


def _pictures(*, allow_private_networks: bool) -> Manifest:
    """Where pictures may be fetched from; a URL may name any port."""
    closed = _FORBIDDEN_IPV4 if allow_private_networks else (*_PRIVATE_IPV4, *_FORBIDDEN_IPV4)
    blocks = [{"cidr": "0.0.0.0/0", "except": list(closed)}, _PUBLIC_IPV6]
    if allow_private_networks:
        blocks.append(_PRIVATE_IPV6)
    return {"to": [{"ipBlock": block} for block in blocks], "ports": [_tcp(1, 65535)]}


def _tcp(port: int, end_port: int | None = None) -> Manifest:
    result: Manifest = {"port": port, "protocol": "TCP"}
    if end_port is not None:
        result["endPort"] = end_port
    return result
