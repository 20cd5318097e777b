"""Counts the pods behind the target of a model server, as the name server knows them."""

from __future__ import annotations

import socket

#: The scheme of gRPC for a name that is resolved by DNS.
_SCHEME = "dns:///"


def count_pods(target: str) -> int:
    """The number of addresses of a target `host:port`, with or without `dns:///`; 1 if it has none.

    A headless Service has an address for each ready pod.
    """
    host, _, port = target.removeprefix(_SCHEME).rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except OSError:  # the next check tells
        return 1
    return max(1, len({address for *_, address in found}))
