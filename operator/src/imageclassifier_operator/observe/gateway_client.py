"""The client of the gateways: polls `GET /rollout` on the internal port of all pods at once.

A pod that does not answer, or sends anything else than a report, has no report.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Protocol

import aiohttp

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.types import Counters, GatewayReport, ShadowReport, VersionReport

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0
SCHEMA = 1


class GatewayClient(Protocol):
    """What the snapshot needs from a client of the gateways."""

    async def fetch_reports(self, pods: Iterable[Json]) -> dict[str, GatewayReport]:
        """The reports of these pods by pod uid. Pods that do not answer are left out."""


class HttpGatewayClient:
    """Polls the gateways of a cluster over HTTP, at the addresses of their pods."""

    def __init__(self, port: int = names.GATEWAY_INTERNAL_PORT) -> None:
        self._port = port
        self._session: aiohttp.ClientSession | None = None

    async def fetch_reports(self, pods: Iterable[Json]) -> dict[str, GatewayReport]:
        """Poll all pods at once. Pods that do not answer are left out."""
        polled = [pod for pod in pods if (pod.get("status") or {}).get("podIP")]
        reports = await asyncio.gather(*(self._fetch_report(pod["status"]["podIP"]) for pod in polled))
        return {
            pod["metadata"]["uid"]: report
            for pod, report in zip(polled, reports, strict=True)
            if report is not None
        }

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _fetch_report(self, address: str) -> GatewayReport | None:
        if self._session is None:
            # The timeout includes the wait for a connection: with a limit, gateways that do not answer would
            # make others look like them.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            )
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{self._port}/rollout") as response:
                response.raise_for_status()
                return parse_report(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.debug("The gateway at %s did not send a report: %r", address, error)
            return None


def parse_report(document: Json) -> GatewayReport:
    """Parse the response to `GET /rollout`; its form is in docs/architecture.md.

    Raises ValueError, KeyError, TypeError or AttributeError for anything else.
    """
    if document["schema"] != SCHEMA:
        raise ValueError(f"the report has schema {document['schema']}; this operator reads schema {SCHEMA}")
    shadow = document.get("shadow")
    return GatewayReport(
        start_id=document["start_id"],
        revision=int(document["revision"] or 0),
        routing_error=_text(document.get("routing_error")),
        versions={int(version): _version(report) for version, report in document["versions"].items()},
        shadow=None
        if not shadow
        else ShadowReport(
            version=int(shadow["version"]),
            compared=int(shadow["compared"]),
            agreed=int(shadow["agreed"]),
            dropped=int(shadow["dropped"]),
            failed=int(shadow["failed"]),
            confusion=tuple(
                (str(cell["serving"]), str(cell["candidate"]), int(cell["count"]))
                for cell in shadow["confusion"]
            ),
        ),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _version(report: Json) -> VersionReport:
    return VersionReport(
        ready=bool(report["ready"]),
        error=_text(report.get("error")),
        counters=Counters(
            requests=int(report["requests"]),
            errors=int(report["errors"]),
            buckets={bound: int(count) for bound, count in report["latency_seconds"]["buckets"].items()},
        ),
    )
