"""The paths of a gateway's internal port: `/livez`, `/readyz`, `/metrics` and `/rollout`."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

from ..gateway import Gateway
from .internal_server import JSON, TEXT, InternalAnswer

#: How long the public port may take to answer a ping. Less than the probes' timeouts of 2 and 5 seconds.
_READY_SECONDS = 1.5
_ALIVE_SECONDS = 4.0
_DEAF = "The public port does not answer."


def is_answering(port: int, seconds: float) -> bool:
    """Whether the public port answers `OPTIONS *`, which is HTTP's own ping.

    Without this check a pod whose public port is dead would stay in the Service's endpoints.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("OPTIONS", "*")
        return connection.getresponse().status == HTTPStatus.NO_CONTENT
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True)
class InternalAnswers:
    """The responses of one gateway."""

    gateway: Gateway

    def __call__(self, path: str) -> InternalAnswer:
        """The response for a path."""
        gateway = self.gateway
        if path == "/livez":
            # A long timeout: only a stuck event loop needs a restart, not a slow one under load.
            alive = gateway.draining or is_answering(gateway.settings.port, _ALIVE_SECONDS)
            return (200, TEXT, b"alive\n") if alive else (503, TEXT, f"{_DEAF}\n".encode())
        if path == "/readyz":
            reason = gateway.unready_reason()
            if reason is None and not is_answering(gateway.settings.port, _READY_SECONDS):
                reason = _DEAF
            return (200, TEXT, b"ready\n") if reason is None else (503, TEXT, f"{reason}\n".encode())
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, gateway.stats.exposition()
        if path == "/rollout":
            return 200, JSON, json.dumps(gateway.rollout_document()).encode()
        return 404, TEXT, b"Not found. The paths are /livez, /readyz, /metrics and /rollout.\n"
