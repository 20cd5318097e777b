"""What the NetworkPolicies say, beside the gateway's own rules for users' URLs.

What they amount to between pods is proven with a simulator of a network plugin in test_network_simulation.py.
"""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageclassifier_gateway.fetching.allowed_addresses import Address, address_is_allowed
from imageclassifier_operator import api, render
from imageclassifier_operator.settings import DnsPlace
from rendered import SPECS, classifier

SETTINGS = render.Installation(gateway_image="gateway:test", operator_namespace="operators")


def picture_blocks(*, allow_private_networks: bool) -> list[dict[str, Any]]:
    """The address blocks to which the gateway's policy allows connections for pictures."""
    ic = api.parse(
        {
            "metadata": {"name": "pizza", "namespace": "food", "uid": "u"},
            "spec": {
                "model": {"version": 1, "source": {"image": {"reference": "pizza-model:1"}}},
                "gateway": {"urls": {"allowPrivateNetworks": allow_private_networks}},
            },
        }
    )
    [policy] = [
        child
        for child in render.shared_children(ic, SETTINGS)
        if (child["kind"], child["metadata"]["name"]) == ("NetworkPolicy", "pizza-gateway")
    ]
    rules = [rule for rule in policy["spec"]["egress"] if rule["ports"][0].get("endPort") == 65535]
    return [peer["ipBlock"] for rule in rules for peer in rule["to"]]


def is_open(address: Address, blocks: list[dict[str, Any]]) -> bool:
    """Whether the blocks hold the address, by the rules of the NetworkPolicy API."""

    def inside(network: str) -> bool:
        parsed = ipaddress.ip_network(network)
        return parsed.version == address.version and address in parsed

    return any(
        inside(block["cidr"]) and not any(inside(closed) for closed in block.get("except", ()))
        for block in blocks
    )


INTERESTING = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "100.100.100.200/32", "127.0.0.0/8", "168.63.129.16/32",
        "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7",
        "fd00:ec2::/32", "fd20:ce::/32", "fe80::/10", "fec0::/10", "ff00::/8", "100::/64", "2606:4700::/32",
    )
]  # fmt: skip
_EDGES = [
    ipaddress.ip_address(value)
    for network in INTERESTING
    for value in (
        int(network.network_address) - 1,
        int(network.network_address),
        int(network.broadcast_address),
        int(network.broadcast_address) + 1,
    )
    if 2**32 < value < 2**128 or (network.version == 4 and 0 <= value < 2**32)
]
addresses = st.one_of(
    st.sampled_from(_EDGES),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.sampled_from(INTERESTING).flatmap(lambda network: st.ip_addresses(network=network)),
)


@pytest.mark.parametrize("allow_private_networks", [False, True])
@given(address=addresses)
def test_the_policy_never_opens_an_address_that_the_gateway_refuses(
    address: Address, allow_private_networks: bool
) -> None:
    if is_open(address, picture_blocks(allow_private_networks=allow_private_networks)):
        assert address_is_allowed(address, allow_private_networks=allow_private_networks)


@pytest.mark.parametrize("allow_private_networks", [False, True])
@given(address=addresses)
def test_the_policy_opens_every_address_that_the_gateway_takes(
    address: Address, allow_private_networks: bool
) -> None:
    # IPv6 addresses are assigned only from these blocks. Those that embed an IPv4 address stay closed.
    given_out = address.version == 4 or any(
        address in ipaddress.ip_network(block) for block in ("2000::/3", "fc00::/7")
    )
    if given_out and address_is_allowed(address, allow_private_networks=allow_private_networks):
        assert is_open(address, picture_blocks(allow_private_networks=allow_private_networks))


def policies(
    settings: render.Installation = SETTINGS, tracing: str = "", **urls: Any
) -> dict[str, dict[str, Any]]:
    """The NetworkPolicies by name, for `spec.gateway.urls`."""
    traced = {"tracing": {"endpoint": tracing}} if tracing else {}
    ic = classifier({"model": SPECS["smallest"]["model"], "gateway": {"urls": urls, **traced}})
    children = render.shared_children(ic, settings)
    return {each["metadata"]["name"]: each["spec"] for each in children if each["kind"] == "NetworkPolicy"}


def egress(settings: render.Installation = SETTINGS, tracing: str = "", **urls: Any) -> list[dict[str, Any]]:
    found = policies(settings, tracing, **urls)
    assert found["pizza-gateway"]["egress"] == found["pizza-verify"]["egress"]
    rules: list[dict[str, Any]] = found["pizza-gateway"]["egress"]
    return rules


@pytest.mark.parametrize(
    ("host", "peers"),
    [
        ("10.1.2.3", {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]}),
        ("[fd00::3]", {"to": [{"ipBlock": {"cidr": "fd00::3/128"}}]}),
        ("proxy.example.org", {}),
    ],
)
def test_with_a_proxy_the_gateway_reaches_the_proxy_and_not_the_internet(
    host: str, peers: dict[str, Any]
) -> None:
    rules = egress(proxy={"host": host, "port": 3128})
    assert rules == [*egress()[:2], {**peers, "ports": [{"port": 3128, "protocol": "TCP"}]}]


@pytest.mark.parametrize("host", ["proxy.egress.svc", "proxy.egress.svc.cluster.local"])
def test_a_proxy_in_the_cluster_can_be_reached_on_the_port_of_its_pods(host: str) -> None:
    """The port of its Service may be another one."""
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "egress"}}
    rules = egress(proxy={"host": host, "port": 3128})
    assert rules == [*egress()[:2], {"to": [{"namespaceSelector": namespace}]}]


def test_hosts_beside_the_proxy_can_be_reached_as_without_it() -> None:
    rules = egress(proxy={"host": "proxy.example.org", "port": 3128, "directHosts": ["example.org"]})
    assert rules[-1] == egress()[-1]


@pytest.mark.parametrize(
    ("endpoint", "rule"),
    [
        (
            "http://otel-collector.observability.svc:4318",
            {
                "to": [
                    {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}
                ]
            },
        ),
        ("https://otlp.example.org/", {"ports": [{"port": 443, "protocol": "TCP"}]}),
        (
            "http://10.1.2.3:4318",
            {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 4318, "protocol": "TCP"}]},
        ),
    ],
)
def test_the_collector_of_traces_can_be_reached(endpoint: str, rule: dict[str, Any]) -> None:
    rules = egress(tracing=endpoint)
    assert rules == [*egress()[:2], rule, *egress()[2:]]


def test_dns_is_where_the_installation_says() -> None:
    places = (DnsPlace(namespace="openshift-dns", port=5353), DnsPlace(block="fd00::a/128"))
    rules = egress(render.Installation("gateway:test", "operators", dns=places))
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": "openshift-dns"}}
    assert rules == [
        {
            "to": [{"namespaceSelector": namespace}],
            "ports": [{"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"}],
        },
        {
            "to": [{"ipBlock": {"cidr": "fd00::a/128"}}],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
        },
        *egress()[1:],
    ]


def test_policies_can_be_left_to_the_cluster() -> None:
    assert policies(render.Installation("gateway:test", "operators", network_policies=False)) == {}
