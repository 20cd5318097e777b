"""gunicorn as this gateway needs it: one process of threads, and its settings."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication

from .accesslog import LOGGING
from .config import Settings
from .worker import GatewayWorker, WsgiApp

if TYPE_CHECKING:
    from .gateway import Gateway

#: Longer than the idle timeouts of the usual proxies (60 s): the side that keeps a connection longer never
#: closes it under a request that is just being sent.
_KEEPALIVE_SECONDS = 75
#: Idle and slow connections cost a file descriptor each, not a thread.
_CONNECTIONS = 2000
#: The master ends a worker that does not report for so long; reporting needs no free request thread.
_WORKER_TIMEOUT_SECONDS = 60
#: Where the worker's heartbeat file goes: writable even where the root file system is not.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


class GatewayServer(BaseApplication):  # type: ignore[misc]
    """gunicorn's application: settings in, the gateway's WSGI application out. It is loaded in the worker,
    after the fork, since gRPC must not be started before."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gateway: Gateway | None = None
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        values = {
            "bind": [f"[::]:{settings.port}" if socket.has_dualstack_ipv6() else f"0.0.0.0:{settings.port}"],
            "workers": 1,
            "worker_class": GatewayWorker,
            "threads": settings.threads,
            "worker_connections": _CONNECTIONS,
            "keepalive": _KEEPALIVE_SECONDS,
            "timeout": _WORKER_TIMEOUT_SECONDS,
            "graceful_timeout": int(settings.drain_seconds + 2 * settings.timeout_seconds) + 5,
            # No header of a proxy is believed: none is used. "*" spares a look at each client's address.
            "forwarded_allow_ips": "*",
            "secure_scheme_headers": {},
            "forwarder_headers": "",
            "logconfig_dict": LOGGING,
            "control_socket_disable": True,
        }
        if _SHARED_MEMORY.is_dir():
            values["worker_tmp_dir"] = str(_SHARED_MEMORY)
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> WsgiApp:
        from .app import create_app
        from .gateway import build_gateway
        from .internal import InternalServer

        logging.captureWarnings(True)  # Pillow's, of damaged pictures, would be plain text on stderr
        gateway = build_gateway(self.settings)
        self.gateway = gateway
        InternalServer(gateway, self.settings.internal_port).start()
        app = create_app(gateway)
        gateway.start()
        return app
