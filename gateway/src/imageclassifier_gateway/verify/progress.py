"""The progress of a verification, for the operator: `GET /progress` on the internal port of its pod.

The pod has no token for the Kubernetes API, so it cannot write a status. To read the progress from logs, the
operator would need access to the logs of all pods. A network policy lets only the operator connect to the
port.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ..http.internal_server import JSON, TEXT, InternalAnswer, InternalServer

SCHEMA = 1


@dataclass
class Progress:
    """The number of labelled pictures that are done. One thread writes it, and others read it."""

    total: int = 0
    done: int = 0
    unreadable: int = 0

    def answer(self, path: str) -> InternalAnswer:
        """The response to a request to the internal port."""
        if path == "/progress":
            return 200, JSON, json.dumps({"schema": SCHEMA, **asdict(self)}).encode()
        return 404, TEXT, b"Not found. The path is /progress.\n"

    def serve(self, port: int) -> InternalServer:
        """Answer requests in threads, until the process ends."""
        server = InternalServer(self.answer, port)
        server.start()
        return server
