"""The NetworkPolicies: which connections an ImageClassifier's pods may accept and open.

- Model servers accept connections of the gateway and the verification Jobs of the same ImageClassifier. They
  open none, unless the model is downloaded: then to DNS, to any address outside of the node, to the namespace
  of a server in the cluster, and to the agent that has the credentials of a ServiceAccount's role.
- The gateway accepts any connection on its public port. On its internal port it accepts the operator's, and
  those of Prometheus if the installation names its namespace. It may connect to DNS, to the model servers,
  and to the public internet, from which it fetches pictures; to private networks only if the spec allows it.
  If the spec has a proxy, the gateway may connect to that instead of the internet, and if it has a collector
  of traces, to that too.
- A verification Job may connect to the same destinations as the gateway, so also to the serving version's
  model servers. It accepts no connection; with a data set, only the operator's, which polls its progress.

Network plugins always allow the kubelet's probes, which come from the node.
"""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from imageclassifier_operator.api import (
    HttpsSource,
    ImageClassifier,
    ModelVersion,
    StorageSource,
    names,
)
from imageclassifier_operator.render.shared_parts import Installation, Manifest, metadata
from imageclassifier_operator.settings import DnsPlace

# The gateway's own rules for addresses (imageclassifier_gateway) as address blocks, as a second line of
# defence. A test compares the two. IPv6 addresses that contain an IPv4 address (NAT64) are forbidden here,
# because a block cannot tell which address they contain.
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
    "cidr": "2000::/3",  # all global unicast addresses that IANA has assigned
    "except": ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
}
_PRIVATE_IPV6 = {"cidr": "fc00::/7", "except": ["fd00:ec2::/32", "fd20:ce::/32"]}

_NODE_LOCAL_DNS = "169.254.20.10/32"

# Where pods get the credentials of their ServiceAccount's role, by the scheme of the store: from the agent of
# EKS Pod Identity (IAM roles for service accounts need a public address only), or from the metadata server of
# GKE's Workload Identity, which has the second address with Dataplane V2.
_ROLES_OF_EKS: list[Manifest] = [
    {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}, {"ipBlock": {"cidr": "fd00:ec2::23/128"}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }
]
_ROLES_OF_GKE: list[Manifest] = [
    {
        "to": [{"ipBlock": {"cidr": "169.254.169.252/32"}}],
        "ports": [{"port": 988, "protocol": "TCP"}],
    },
    {
        "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    },
]
# MLflow keeps its files in either.
_CREDENTIALS_OF_ROLES = {"s3": _ROLES_OF_EKS, "gs": _ROLES_OF_GKE, "models": [*_ROLES_OF_EKS, *_ROLES_OF_GKE]}


def network_policies(ic: ImageClassifier, installation: Installation) -> tuple[Manifest, ...]:
    """The policies of model servers, gateway and verification Jobs; none if the cluster has its own."""
    if not installation.network_policies:
        return ()
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
                _operator_ingress(installation),
                *_prometheus_ingress(installation),
            ],
            egress=_client_egress(ic, installation),
        ),
        _policy(
            ic,
            names.verify_policy_name(ic.name),
            "verify",
            ingress=[] if ic.rollout.acceptance.dataset is None else [_operator_ingress(installation)],
            egress=_client_egress(ic, installation),
        ),
    )


def download_policies(
    ic: ImageClassifier, served: ModelVersion, installation: Installation
) -> tuple[Manifest, ...]:
    """The policy of a version whose pods download their model. It is added to that of all model servers."""
    source = served.source
    if not isinstance(source, HttpsSource | StorageSource) or not installation.network_policies:
        return ()
    # A redirect or a proxy may have another port than the URL.
    egress = [*_dns(installation), _servers(allow_private_networks=True)]
    url = source.url if isinstance(source, HttpsSource) else source.endpoint
    proxy = None if source.proxy is None else source.proxy.url
    namespaces = [_namespace_of_service(each) for each in (url, proxy) if each is not None]
    # Some network plugins apply address blocks to addresses outside of the cluster only.
    egress += [{"to": [_pods_of(name)]} for name in dict.fromkeys(namespaces) if name is not None]
    if isinstance(source, StorageSource):
        scheme = source.uri.partition(":")[0]
        # The Secret for an MLflow server need not have keys of the bucket with its files.
        if source.credentials_secret is None or scheme == "models":
            egress += _CREDENTIALS_OF_ROLES.get(scheme, [])
    name = names.serving_name(ic.name, served.version)
    return (_policy(ic, name, "serving", served.version, ingress=None, egress=egress),)


def _namespace_of_service(url: str) -> str | None:
    """The namespace of the Service to which a URL leads; None if it leads out of the cluster.

    >>> _namespace_of_service("http://minio.storage.svc.cluster.local:9000")
    'storage'
    """
    found = re.match(r"https?://[^./:]+\.([a-z0-9-]+)\.svc(?:\.[^/:]*)?(?:[/:]|$)", url)
    return None if found is None else found[1]


def _pods_of(name: str) -> Manifest:
    """All pods of a namespace, as a peer of a rule."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _policy(
    ic: ImageClassifier,
    name: str,
    component: names.Component,
    version: int | None = None,
    *,
    ingress: list[Manifest] | None,
    egress: list[Manifest],
) -> Manifest:
    """A policy for the pods of one component, or of one version. `ingress`: None to leave that to others."""
    # An empty list allows nothing. It is rendered, so that an apply removes the rules of others.
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": names.selector(ic.name, component, version)},
        "policyTypes": ["Egress"] if ingress is None else ["Ingress", "Egress"],
        "egress": egress,
    }
    if ingress is not None:
        spec["ingress"] = ingress
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(ic, name, component=component, version=version),
        "spec": spec,
    }


def _operator_ingress(installation: Installation) -> Manifest:
    """Connections of the operator to the internal port."""
    operator = {"matchLabels": {names.LABEL_NAME: names.MANAGER}}
    return {
        "from": [{**_pods_of(installation.operator_namespace), "podSelector": operator}],
        "ports": [_tcp(names.GATEWAY_INTERNAL_PORT)],
    }


def _prometheus_ingress(installation: Installation) -> list[Manifest]:
    """Connections of Prometheus, which reads /metrics on the internal port."""
    if installation.prometheus_namespace is None:
        return []
    prometheus = _pods_of(installation.prometheus_namespace)
    return [{"from": [prometheus], "ports": [_tcp(names.GATEWAY_INTERNAL_PORT)]}]


def _client_egress(ic: ImageClassifier, installation: Installation) -> list[Manifest]:
    urls = ic.gateway.urls
    rules = [
        *_dns(installation),
        {
            "to": [{"podSelector": {"matchLabels": names.selector(ic.name, "serving")}}],
            "ports": [_tcp(names.MODEL_GRPC_PORT)],
        },
    ]
    if urls.proxy is not None:
        rules.append(_server_rule(urls.proxy.url))
    if ic.gateway.tracing is not None:
        rules.append(_server_rule(ic.gateway.tracing.endpoint))
    if urls.proxy is None or urls.proxy.direct_hosts:
        rules.append(_servers(allow_private_networks=urls.allow_private_networks))
    return rules


def _server_rule(url: str) -> Manifest:
    """Connections to a proxy or to the collector of traces.

    The rule allows the namespace of its Service, its address, or else its port anywhere, because a policy
    knows no names. A policy sees the port of the pods, which may differ from that of their Service.
    """
    namespace = _namespace_of_service(url)
    if namespace is not None:
        return {"to": [_pods_of(namespace)]}
    parts = urlsplit(url)
    ports = [_tcp(parts.port or (443 if parts.scheme == "https" else 80))]
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return {"ports": ports}
    return {"to": [{"ipBlock": {"cidr": str(ipaddress.ip_network(address))}}], "ports": ports}


def _dns_rule(place: DnsPlace) -> Manifest:
    peer = _pods_of(place.namespace) if place.namespace else {"ipBlock": {"cidr": place.block}}
    return {"to": [peer], "ports": _dns_ports(place.port)}


def _dns_ports(port: int) -> list[Manifest]:
    return [{"port": port, "protocol": "UDP"}, _tcp(port)]


def _dns(installation: Installation) -> list[Manifest]:
    """The name servers of the cluster."""
    return list(map(_dns_rule, installation.dns)) or [_USUAL_DNS_RULE]


def _servers(*, allow_private_networks: bool) -> Manifest:
    """Where pictures and models may be fetched from. A URL may contain any port."""
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


_USUAL_DNS_RULE: Manifest = {
    "to": [
        {**_pods_of("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}},
        {"ipBlock": {"cidr": _NODE_LOCAL_DNS}},
    ],
    "ports": _dns_ports(53),
}
