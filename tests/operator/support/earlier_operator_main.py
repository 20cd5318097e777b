"""Runs the operator of commit 48c8c3e, with gateways behind one URL; see `earlier_operator`.

The modules that it imports are those of that commit.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
from imageclassifier_operator.leader import Timing
from imageclassifier_operator.observed import GatewayReport
from imageclassifier_operator.observers import parse_report

from imageclassifier_operator import logs, names
from imageclassifier_operator.__main__ import run
from imageclassifier_operator.settings import Settings

TIMING = Timing(duration_seconds=300, deadline_seconds=200, retry_seconds=2)
"""As of the operators in other tests."""


class Gateways:
    """The gateways of the test's server."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def ask(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        asked = list(pods)
        reports = await asyncio.gather(*map(self._ask_one, asked))
        return {
            pod["metadata"]["uid"]: report
            for pod, report in zip(asked, reports, strict=True)
            if report is not None
        }

    async def _ask_one(self, pod: Mapping[str, Any]) -> GatewayReport | None:
        metadata = pod["metadata"]
        instance = metadata["labels"][names.LABEL_INSTANCE]
        url = f"{self._url}/{metadata['namespace']}/{instance}/{metadata['uid']}"
        async with self._session.get(url) as response:
            return parse_report(await response.json(content_type=None)) if response.ok else None


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        gateways = Gateways(os.environ["GATEWAYS_URL"], session)
        await run(Settings.from_environment(), asyncio.Event(), gateways, TIMING)


if __name__ == "__main__":
    logs.set_up()
    asyncio.run(main())
