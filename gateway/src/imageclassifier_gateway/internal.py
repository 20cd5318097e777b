"""The internal port: probes, metrics and `/rollout`, on a server and threads of its own.

It shares nothing with the public port but the process, so it answers while every request thread there is
busy.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

from .gateway import Gateway

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
#: A client that says nothing for so long is cut off.
_IDLE_SECONDS = 30


class InternalServer(ThreadingHTTPServer):
    """Serves `/livez`, `/readyz`, `/metrics` and `/rollout` for one gateway."""

    daemon_threads = True

    def __init__(self, gateway: Gateway, port: int, host: str = "") -> None:
        self.gateway = gateway
        if not host and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
            host = "::"
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """One JSON line, where the standard library prints a traceback; none for a client that has gone."""
        if not isinstance(sys.exception(), OSError):
            logging.getLogger(__name__).exception("a request to the internal port failed")

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, name="internal", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: InternalServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        status, media_type, body = self._answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        gateway = self.server.gateway
        if path == "/livez":
            return 200, _TEXT, b"alive\n"
        if path == "/readyz":
            reason = gateway.unready_reason()
            return (200, _TEXT, b"ready\n") if reason is None else (503, _TEXT, f"{reason}\n".encode())
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, gateway.stats.exposition()
        if path == "/rollout":
            return 200, _JSON, json.dumps(gateway.rollout_document()).encode()
        return 404, _TEXT, b"There are /livez, /readyz, /metrics and /rollout.\n"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: probes and scrapes come all the time."""
