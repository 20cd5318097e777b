"""The paths of a gateway's internal port: `/livez`, `/readyz`, `/metrics` and `/rollout`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST

from ..gateway import Gateway
from .internal_server import JSON, TEXT, InternalAnswer
from .ping import is_answering

#: How long the public port may take to answer a ping. Less than the probes' timeouts of 2 and 5 seconds.
_READY_SECONDS = 1.5
_ALIVE_SECONDS = 4.0
_DEAF = "The public port does not answer."


@dataclass(frozen=True)
class InternalAnswers:
    """The responses of one gateway."""

    gateway: Gateway

    def __call__(self, path: str) -> InternalAnswer:
        """The response for a path."""
        gateway = self.gateway
        if path == "/livez":
            # A long timeout: only a stuck event loop needs a restart, not a slow one under load.
            alive = gateway.draining or self._is_answering(_ALIVE_SECONDS)
            return (200, TEXT, b"alive\n") if alive else (503, TEXT, f"{_DEAF}\n".encode())
        if path == "/readyz":
            reason = gateway.unready_reason()
            if reason is None and not self._is_answering(_READY_SECONDS):
                reason = _DEAF
            return (200, TEXT, b"ready\n") if reason is None else (503, TEXT, f"{reason}\n".encode())
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, gateway.stats.exposition()
        if path == "/rollout":
            return 200, JSON, json.dumps(gateway.rollout_document()).encode()
        return 404, TEXT, b"Not found. The paths are /livez, /readyz, /metrics and /rollout.\n"

    def _is_answering(self, seconds: float) -> bool:
        certificate = self.gateway.certificate
        if certificate is not None and certificate.context is None:
            return True  # `unready_reason` says what is missing; a restart would not help
        return is_answering(self.gateway.settings.port, seconds, tls=certificate is not None)
