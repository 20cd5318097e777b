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
