"""An address of this machine that a gateway may fetch from when its owner allows private networks."""

import atexit
import functools
import os
import subprocess
from ipaddress import ip_address

import pytest

from imageclassifier_gateway.fetching.allowed_addresses import address_is_allowed


@functools.cache
def private_address() -> str:
    """The first one, or one that loopback gets until this process ends. No gateway fetches from 127.0.0.1.

    Skips the test where there is none and `ip` may not add one.
    """
    known = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    for address in known:
        if "." in address and address_is_allowed(ip_address(address), allow_private_networks=True):
            return address
    return _added_to_loopback()


def _added_to_loopback() -> str:
    """An address of this process's own, so that no other test process takes it away."""
    process = os.getpid()
    address = f"10.254.{process >> 8 & 255}.{process & 255}"
    place = [f"{address}/32", "dev", "lo"]
    try:
        added = subprocess.run(["ip", "address", "add", *place], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("this machine has no private network, such as Docker's, and no `ip` to add one")
    if added.returncode:
        pytest.skip("this machine has no private network, such as Docker's, and only root may add one")
    atexit.register(subprocess.run, ["ip", "address", "del", *place], capture_output=True, check=False)
    return address
