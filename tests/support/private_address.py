"""An address of this machine that a gateway may fetch from when its owner allows private networks."""

import subprocess
from ipaddress import ip_address

import pytest

from imageclassifier_gateway.fetching.allowed_addresses import address_is_allowed


def private_address() -> str:
    """The first one; a gateway never fetches from loopback. Skips the test where there is none."""
    known = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    for address in known:
        if "." in address and address_is_allowed(ip_address(address), allow_private_networks=True):
            return address
    pytest.skip("this machine has no private network, such as Docker's")
