"""A reflector keeps a store equal to what the API server has of one kind: it lists, and then watches.

A watch that breaks goes on from the last resourceVersion that it has seen. When the API server no longer has
the history since then, the reflector lists again and reports the difference, so nothing is missed and nothing
that is gone stays.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import Kind
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.store import Removed, Store
from imageclassifier_operator.runtime.work_queue import Key

logger = logging.getLogger(__name__)

RETRY_SECONDS = (0.5, 1.5)
MISSING_KIND_SECONDS = (20.0, 30.0)
"""How long the operator waits before it retries a kind that the cluster did not have."""
_GONE = 410
_MISSING = (403, 404)
"""The cluster does not have the kind, or an older role of the operator does not name it."""


@dataclass(frozen=True)
class Listener:
    """Whom a reflector tells.

    `added`: the store has an object of this uid that it did not have. It may have had it before: an object
    that loses our label is removed, and is added when it has the label again. `changed`: an object of this
    ImageClassifier is new, changed or gone. It is not called for an object that `is_known` in this version.
    """

    changed: Callable[[Key], None]
    added: Callable[[Kind, str], None]
    removed: Callable[[Kind, Removed], None]
    is_known: Callable[[Kind, Key, Json], bool]


class Reflector:
    """The reflector of one kind. Those that share `pages` parse one page of a list at a time."""

    def __init__(
        self, client: KubernetesClient, kind: Kind, store: Store, listener: Listener, pages: asyncio.Lock
    ) -> None:
        self._client, self._kind, self._store = client, kind, store
        self._listener, self._pages = listener, pages
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """Reflect until cancelled."""
        while True:
            try:
                version = await self._list()
                self.listed.set()
                await self._follow(version)
            except ApiError as error:
                if self._kind.optional and error.status in _MISSING:
                    await self._wait_for_kind()
                    continue
                logger.warning("Cannot list or watch %s: %s", self._kind.plural, error)
                await _pause()

    async def _wait_for_kind(self) -> None:
        """Without the kind there are no objects. An administrator may install it later."""
        for uid in self._store.uids():
            self._remove(uid)
        if not self.listed.is_set():
            logger.info("The cluster has no %s, or the operator may not list them", self._kind.plural)
        self.listed.set()
        await asyncio.sleep(random.uniform(*MISSING_KIND_SECONDS))  # noqa: S311 - jitter is not a secret

    async def _list(self) -> str:
        """Make the store equal to a list. Returns its resourceVersion."""
        missing, token = self._store.uids(), ""
        while True:
            async with self._pages:  # a parsed page takes many times the memory of what is stored of it
                page = await self._client.list_page(self._kind, token)
                for body in page.items:
                    missing.discard(body["metadata"]["uid"])
                    self._put(body)
            token = page.token
            if not token:
                break
        for uid in missing:
            self._remove(uid)
        return page.version

    async def _follow(self, version: str) -> None:
        """Watch from `version` on. Returns when the API server no longer has the history since then."""
        while True:
            try:
                async for event in self._client.watch(self._kind, version):
                    version = self._take(event)
            except ApiError as error:
                if error.status == _GONE:
                    return
                if error.status != 0:
                    raise
                logger.debug("The watch of %s broke: %s", self._kind.plural, error)
                await _pause()

    def _take(self, event: Json) -> str:
        """Take an event of the watch. Returns its resourceVersion. Raises ApiError for the last event."""
        body = event["object"]
        if event["type"] == "ERROR":
            raise ApiError(body.get("code", 0), body.get("reason", ""), body.get("message", ""))
        metadata = body["metadata"]
        if event["type"] == "DELETED":
            self._remove(metadata["uid"])
        elif event["type"] != "BOOKMARK":
            self._put(body)
        version: str = metadata["resourceVersion"]
        return version

    def _put(self, body: Json) -> None:
        uid = body["metadata"]["uid"]
        was_there = self._store.has(uid)
        affected = self._store.put(body)
        if affected and not was_there:
            self._listener.added(self._kind, uid)
        for key in affected:
            if not self._listener.is_known(self._kind, key, body):
                self._listener.changed(key)

    def _remove(self, uid: str) -> None:
        removed = self._store.remove(uid)
        if removed is not None:
            self._listener.removed(self._kind, removed)
            self._listener.changed(removed.key)


async def _pause() -> None:
    await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311 - jitter is not a secret
