"""Steady load in a process of its own, and a record of every single request.

Each request is due at a fixed time, and its latency counts from that time. So a slow response shows in the
latency of the requests that wait behind it. Half of the clients keep their connection, the others open one
for each request. No request is retried.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Any

SENDERS = 8
TIMEOUT_SECONDS = 15.0
_HEADERS = {"Content-Type": "application/octet-stream"}

_processes = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Picture:
    """A picture to send, and the label that every good version gives it."""

    data: bytes
    label: str


@dataclass(frozen=True)
class Plan:
    """The target, the rate, and the pictures, which are sent in turn."""

    host: str
    port: int
    per_second: float
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Record:
    """One request. `due`: in seconds since the epoch. `said`: the error; None after a correct response."""

    due: float
    seconds: float
    kept_connection: bool
    status: int | None
    version: int | None
    said: str | None

    @property
    def failed(self) -> bool:
        return self.said is not None


class Load:
    """Sends requests inside a `with` block; afterwards `records` has one record for each."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = _processes.Event()
        self._sent = _processes.Value("q", 0)
        self._answers, theirs = _processes.Pipe(duplex=False)
        arguments = (plan, self._stop, self._sent, theirs)
        self._process = _processes.Process(target=_send_all, args=arguments, daemon=True)
        self.records: list[Record] = []

    def __enter__(self) -> Load:
        _wait_for_port(self._plan.host, self._plan.port)
        self._process.start()
        self.wait_for(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self.records = self._answers.recv()
        self._process.join()

    def wait_for(self, requests: int) -> None:
        """Wait until this number of requests is finished."""
        while self._sent.value < requests:
            if not self._process.is_alive():
                raise RuntimeError("The load generator has ended.")
            time.sleep(0.1)


def _wait_for_port(host: str, port: int, timeout_seconds: float = 30) -> None:
    """A node's proxy opens the port a moment after the Service has its first ready gateway."""
    until = time.monotonic() + timeout_seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _send_all(plan: Plan, stop: Event, sent: Synchronized[int], answers: Connection) -> None:
    records: list[list[Record]] = [[] for _ in range(SENDERS)]
    began = time.time() + 0.2
    threads = [
        threading.Thread(target=_send, args=(plan, number, began, stop, sent, records[number]))
        for number in range(SENDERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.send(sorted((record for each in records for record in each), key=lambda record: record.due))


def _send(
    plan: Plan, number: int, began: float, stop: Event, sent: Synchronized[int], records: list[Record]
) -> None:
    keeps = number % 2 == 0
    connection: http.client.HTTPConnection | None = None
    turn = number
    while not stop.is_set():
        due = began + turn / plan.per_second
        time.sleep(max(0.0, due - time.time()))
        if connection is None:
            connection = http.client.HTTPConnection(plan.host, plan.port, timeout=TIMEOUT_SECONDS)
        picture = plan.pictures[turn % len(plan.pictures)]
        status, version, said = _ask(connection, picture)
        records.append(Record(due, time.time() - due, keeps, status, version, said))
        if not keeps or status is None:
            connection.close()
            connection = None
        with sent.get_lock():
            sent.value += 1
        turn += SENDERS
    if connection is not None:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection, picture: Picture
) -> tuple[int | None, int | None, str | None]:
    """The HTTP status, the version of the prediction, and what went wrong."""
    try:
        connection.request("POST", "/predict", picture.data, _HEADERS)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        return None, None, f"{type(error).__name__}: {error}"
    if response.status != 200:
        return response.status, None, body[:500].decode("utf-8", "replace")
    answer: dict[str, Any] = json.loads(body)
    wrong = None if answer["label"] == picture.label else f"wrong: {answer['label']}, not {picture.label}"
    return response.status, answer["model"]["version"], wrong
