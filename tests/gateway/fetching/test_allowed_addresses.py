"""The addresses that may be fetched from: public ones, and private ones only if that is allowed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetching_world import World
from imageclassifier_gateway.fetching.allowed_addresses import Address, address_is_allowed
from imageclassifier_gateway.fetching.urls import FetchError


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "fd12::1"])
def test_private_networks_are_reachable_only_when_allowed(world: World, address: str) -> None:
    world.names["inside.example"] = [address]
    assert world.fetch("http://inside.example/", allow_private_networks=True) == world.server.picture
    with pytest.raises(FetchError):
        world.fetch("http://inside.example/")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0",
    "224.0.0.1",
     "fe80::1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_this_machine_and_credentials_stay_closed_even_when_private_networks_are_open(address: str) -> None:
    assert not address_is_allowed(ipaddress.ip_address(address), allow_private_networks=True)


# IPv6 addresses that carry an IPv4 one are judged by that one, which the test after this checks.
@given(
    st.ip_addresses(v=4)
    | st.ip_addresses(v=6).filter(lambda address: int(address) >> 96 not in (0, 0x64FF9B))
)
def test_addresses_that_python_calls_private_or_special_are_never_public(address: Address) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not address_is_allowed(address, allow_private_networks=False)


@given(st.ip_addresses(v=4))
def test_an_address_has_the_same_class_in_each_ipv6_embedding(address: ipaddress.IPv4Address) -> None:
    plain = address_is_allowed(address, allow_private_networks=False)
    for prefix in ("::ffff:", "64:ff9b::"):
        assert (
            address_is_allowed(ipaddress.ip_address(f"{prefix}{address}"), allow_private_networks=False)
            == plain
        )
