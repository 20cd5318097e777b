"""The server of the kubelet's probes, on IPv4 and IPv6.

kopf's own server of probes is not used: it binds to one address family, and knows no readiness.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from aiohttp import web


def every_address() -> str:
    """The address to bind to for all clients: `::` takes IPv4 too, where the machine has both."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - the kubelet is on another address


def listen(port: int) -> socket.socket:
    """A listening socket for all clients, of IPv4 and IPv6."""
    if not socket.has_dualstack_ipv6():
        return socket.create_server((every_address(), port))
    return socket.create_server((every_address(), port), family=socket.AF_INET6, dualstack_ipv6=True)


@contextlib.asynccontextmanager
async def serve(port: int, is_ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve `/healthz`, which shows that the event loop runs, and `/readyz`, which asks `is_ready`."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if is_ready():
            return web.Response(text="ok")
        return web.Response(status=503, text="The first lists of the watched objects are not complete yet.")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listen(port)).start()
        yield
    finally:
        await runner.cleanup()
