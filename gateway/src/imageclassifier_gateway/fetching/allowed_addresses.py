"""Decides from which addresses pictures may be fetched. Pure.

`Routes.checked_addresses` applies this rule to every target, also after a redirect.

The lists contain the networks of the IANA special-purpose registries (RFC 6890 and its updates) and the
addresses of the metadata services from which cloud machines get credentials. Python's `is_global` alone is
not enough: it has changed in patch releases, and it ignores IPv4 addresses inside IPv6 addresses.

Known limitation: a cluster's network may embed IPv4 addresses in its own IPv6 prefix (NAT64, RFC 6052 section
2.2), and this prefix looks like any public one. docs/install.md describes how to protect such a cluster.
"""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


#: Allowed only with `allow_private_networks`.
_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
#: Never allowed: this machine, its link, metadata services, and addresses that no host can have.
_FORBIDDEN = _networks(
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "100.100.100.200/32",  # Alibaba Cloud's metadata service, inside the shared address space
    "168.63.129.16/32",  # Azure's host agent, a public address
    "fd00:ec2::/32",  # AWS's metadata service over IPv6, inside the unique local addresses
    "fd20:ce::/32",  # Google Cloud's metadata service over IPv6
    "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    "5f00::/16", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
#: The only IPv6 network from which IANA allocates global unicast addresses so far.
_GLOBAL_UNICAST_IPV6 = _networks("2000::/3")
#: Addresses in these networks embed an IPv4 address in their last 32 bits. The check applies to that address.
_CARRIES_IPV4 = _networks("::ffff:0:0/96", "64:ff9b::/96", "::ffff:0:0:0/96")


def address_is_allowed(address: Address, *, allow_private_networks: bool) -> bool:
    """Whether a picture may be fetched from this address.

    >>> address_is_allowed(ipaddress.ip_address("93.184.215.14"), allow_private_networks=False)
    True
    >>> address_is_allowed(ipaddress.ip_address("::ffff:169.254.169.254"), allow_private_networks=True)
    False
    """
    address = _carried_ipv4(address)
    if _inside(address, _FORBIDDEN):
        return False
    if _inside(address, _PRIVATE):
        return allow_private_networks
    return address.is_global and (address.version == 4 or _inside(address, _GLOBAL_UNICAST_IPV6))


def _carried_ipv4(address: Address) -> Address:
    if address.version == 6 and _inside(address, _CARRIES_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _inside(address: Address, networks: tuple[_Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
