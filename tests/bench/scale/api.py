"""A small asynchronous client of the API server, for the requests of the benchmark itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp

Json = dict[str, Any]
T = TypeVar("T")

AT_ONCE = 16
"""How many requests of a kind are under way at once, for the floor as for the ImageClassifiers."""
PAGE = 500


class Api:
    """A client as the kubeconfig's user: `async with Api(kubeconfig) as api:`, one for each event loop."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self._url: str = cluster["server"]
        self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._token: str = config["users"][0]["user"]["token"]

    async def __aenter__(self) -> Api:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            headers={"Authorization": f"Bearer {self._token}", "User-Agent": "bench-scale"},
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=2**22,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Json:
        """The JSON of the response. Raises RuntimeError with the text of an error response."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(method, self._url + path, data=data, headers=headers) as response:
            text = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {text.decode()[:500]}")
            answer: Json = json.loads(text)
            return answer

    async def merge(self, path: str, body: object) -> Json:
        """Merge `body` into an object."""
        return await self.request("PATCH", path, body, "application/merge-patch+json")

    async def watch(self, path: str, query: str = "") -> AsyncIterator[Json]:
        """Yield all objects, and then each change, until cancelled.

        The API server ends the watch of a client that is slow at a burst. The next one continues where that
        one ended, or yields all objects again if the API server no longer knows what came since.
        """
        while True:
            token = ""
            while True:
                page = await self.request("GET", f"{path}?limit={PAGE}&continue={quote(token)}&{query}")
                for body in page["items"]:
                    yield {"type": "ADDED", "object": body}
                if not (token := page["metadata"].get("continue", "")):
                    break
            async for event in self._changes(path, query, page["metadata"]["resourceVersion"]):
                yield event

    async def _changes(self, path: str, query: str, version: str) -> AsyncIterator[Json]:
        """The changes since `version`, until the API server no longer knows them."""
        while True:
            url = f"{self._url}{path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}&{query}"
            try:
                async with self._session.get(url) as response:
                    if response.status == HTTPStatus.GONE:
                        return
                    response.raise_for_status()
                    while line := await response.content.readuntil(b"\n"):
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            return
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            yield event
            except (aiohttp.ClientError, asyncio.IncompleteReadError) as error:
                print(f"  a watch of {path} broke: {error}", flush=True)
            await asyncio.sleep(0.1)


async def at_once(work: Iterable[Callable[[], Awaitable[T]]]) -> list[T]:
    """The results of `work` in order, with at most `AT_ONCE` in progress."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(do: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await do()

    return await asyncio.gather(*map(one, work))
