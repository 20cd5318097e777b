"""The status writer: what it writes and posts, and how often."""

import asyncio
from typing import Any

from imageclassifier_operator.api.kinds import IMAGE_CLASSIFIERS, WATCHED
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.reconcile.request import Request
from imageclassifier_operator.reconcile.status_writer import StatusWriter
from imageclassifier_operator.rollout.state import State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

KEY = Key("food", "pizza")


class Listening:
    """An API server that keeps the status and the Events."""

    def __init__(self) -> None:
        self.body: dict[str, Any] = {
            "metadata": {
                "name": "pizza",
                "namespace": "food",
                "uid": "u",
                "generation": 2,
                "resourceVersion": "1",
            },
            "spec": {},
            "status": {"url": "http://pizza.example.org/", "modelDigest": "sha256:1"},
        }
        self.events: list[dict[str, Any]] = []

    async def apply_status(self, _: Any, status: dict[str, Any]) -> dict[str, Any]:
        self.body = {**self.body, "status": status}
        return self.body

    async def create_event(self, _: str, event: dict[str, Any]) -> None:
        self.events.append(event)


def test_an_invalid_spec_posts_one_event_and_removes_nothing_from_the_status() -> None:
    server, memory = Listening(), Memory("u")
    indices = {kind.plural: {} for kind in WATCHED} | {IMAGE_CLASSIFIERS.plural: {KEY: [server.body]}}
    teller = StatusWriter(Cache(indices), server, "operator-0")  # type: ignore[arg-type]

    async def passes(*sentences: str) -> None:
        for sentence in sentences:
            found = Request(KEY, server.body, Objects([], [], []), memory, 5.0, None)
            await teller.write_invalid_status(found, State(), Snapshot(), sentence)

    asyncio.run(passes("give one source", "give one source", "give a version"))
    assert [(event["type"], event["reason"], event["message"]) for event in server.events] == [
        ("Warning", "InvalidSpec", "give one source"),
        ("Warning", "InvalidSpec", "give a version"),
    ]
    assert server.body["status"]["url"] == "http://pizza.example.org/"
    assert server.body["status"]["modelDigest"] == "sha256:1"
