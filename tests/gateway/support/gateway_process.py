"""A gateway in a process of its own, and HTTP requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from free_ports import free_port

from gateway_testbed import eventually, write_atomically


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> Answer:
    """Sends one HTTP request to this machine on a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


class GatewayProcess:
    """The gateway as it runs in a pod: `python -m imageclassifier_gateway`, with a routing file in a
    directory."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.routing_file = directory / "routing.json"
        self.port = free_port()
        self.internal_port = free_port()
        self._environment = {
            **os.environ,
            "GATEWAY_ROUTING_FILE": str(self.routing_file),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_INTERNAL_PORT": str(self.internal_port),
            "GATEWAY_DRAIN_SECONDS": "0.5",
            **settings,
        }
        #: The arguments of Python.
        self.program = ["-m", "imageclassifier_gateway"]
        self.log = directory / "gateway.log"
        #: A file descriptor for the log instead of that file.
        self.stdout: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> GatewayProcess:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program],
                env=self._environment,
                stdout=log if self.stdout is None else self.stdout,
                stderr=log,
            )
        eventually(self._is_alive, "the gateway is alive", 180)
        return self

    def _is_alive(self) -> bool:
        assert self._process is not None
        ended = self._process.poll()
        assert ended is None, f"the gateway ended with {ended}: {self.log.read_text()}"
        return self.internal("/livez") == 200

    def start_ready(self, routing: str) -> GatewayProcess:
        write_atomically(self.routing_file, routing)
        self.start()
        eventually(lambda: self.internal("/readyz") == 200, "the gateway is ready", 180)
        return self

    def internal(self, path: str) -> int | None:
        """The status of a path of the internal port; None while nobody listens."""
        try:
            return request(self.internal_port, "GET", path).status
        except OSError:
            return None

    def rollout(self) -> Any:
        return request(self.internal_port, "GET", "/rollout").json

    def metrics(self) -> str:
        return request(self.internal_port, "GET", "/metrics").body.decode()

    def predict(self, body: bytes, **headers: str) -> Answer:
        return request(self.port, "POST", "/predict", body, headers)

    def log_lines(self) -> list[dict[str, Any]]:
        """The lines that are written completely. The gateway writes them soon after its responses."""
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def access_line(self, request_id: str) -> dict[str, Any]:
        """The log line of a request, once it is written; all earlier lines are then written too."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log_lines() if line.get("request_id") == request_id]

        lines: list[dict[str, Any]] = eventually(found, f"the request {request_id} is logged")
        [line] = lines
        return line

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def terminate(self) -> None:
        """Sends SIGTERM, as the kubelet does, and does not wait."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(60)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
