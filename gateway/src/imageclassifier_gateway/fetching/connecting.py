"""Connects to the first address of a host that accepts: Happy Eyeballs (RFC 8305).

An attempt starts at most a quarter of a second after the one before it, even if that one has not ended. The
attempts run in parallel, and one thread waits for all of them.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import chain, zip_longest

from ..limits.deadline import Deadline
from .allowed_addresses import Address

#: RFC 8305, section 8: the delay between attempts.
_DELAY_SECONDS = 0.25
#: The owner of a name can give it hundreds of addresses. Without a limit, one URL would make this pod connect
#: to hundreds of hosts.
_MAX_ATTEMPTS = 16

Begin = Callable[[Address, int], socket.socket]


def connect(
    addresses: Sequence[Address],
    port: int,
    deadline: Deadline,
    begin: Begin,
    waiting_for_network: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> socket.socket:
    """Connect to the first address that accepts, and return the non-blocking socket.

    `begin` opens a non-blocking socket and starts to connect it. The thread waits inside of
    `waiting_for_network()`. Raises OSError: TimeoutError at the
    deadline, otherwise the last error.
    """
    waiting = interleaved(addresses)[:_MAX_ATTEMPTS]
    refusal = OSError(errno.EADDRNOTAVAIL, "no addresses")
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        next_attempt = time.monotonic()
        while waiting or selector.get_map():
            if not deadline.remaining_seconds():
                raise TimeoutError
            if waiting and time.monotonic() >= next_attempt:
                try:
                    attempt = stack.enter_context(begin(waiting.pop(0), port))
                except OSError as error:
                    refusal = error
                    continue
                selector.register(attempt, selectors.EVENT_WRITE)
                next_attempt = time.monotonic() + _DELAY_SECONDS
            pause = next_attempt - time.monotonic() if waiting else deadline.remaining_seconds()
            with waiting_for_network():
                ended_attempts = selector.select(max(0.0, min(pause, deadline.remaining_seconds())))
            for key, _ in ended_attempts:
                ended = key.fileobj
                assert isinstance(ended, socket.socket)
                selector.unregister(ended)
                code = ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return _taken_out(ended)
                refusal = OSError(code, os.strerror(code))
                ended.close()
                next_attempt = time.monotonic()
    raise refusal


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """The addresses with IPv4 and IPv6 in turn; the first one stays first (RFC 8305, section 4)."""
    if not addresses:
        return []
    first = [each for each in addresses if each.version == addresses[0].version]
    second = [each for each in addresses if each.version != addresses[0].version]
    return [each for each in chain.from_iterable(zip_longest(first, second)) if each is not None]


def begin_connecting(address: Address, port: int) -> socket.socket:
    """Open a non-blocking socket, and start to connect it to an address."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setblocking(False)
    code = opened.connect_ex((str(address), port))
    if code not in (0, errno.EINPROGRESS):
        opened.close()
        raise OSError(code, os.strerror(code))
    return opened


def _taken_out(connected: socket.socket) -> socket.socket:
    """The same connection in a new socket object, which stays open when the attempts are closed."""
    return socket.socket(connected.family, connected.type, connected.proto, connected.detach())
