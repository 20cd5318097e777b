"""Ports for servers that tests start."""

from __future__ import annotations

import itertools
import os
import random
import socket

#: Below the ports that the kernel gives to connections (from 32768 on) and Kubernetes to NodePorts (from
#: 30000 on), so that no one else gets a port between the choice and the server's binding, which can take a
#: while.
_FIRST, _WORKERS, _PORTS_OF_EACH = 20_000, 8, 1_000

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_offsets = itertools.count(random.randrange(_PORTS_OF_EACH))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on, and that no other test is given.

    Each pytest worker counts through ports of its own. Raises RuntimeError when none of them is free.
    """
    for offset in itertools.islice(_offsets, _PORTS_OF_EACH):
        port = _FIRST + _worker * _PORTS_OF_EACH + offset % _PORTS_OF_EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of the {_PORTS_OF_EACH} ports of this worker is free: end what listens there")
