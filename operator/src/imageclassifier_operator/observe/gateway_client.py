"""The client of the gateways: polls `GET /rollout` on the internal port of all pods at once.

A verification pod answers `GET /progress` on the same port.

A pod that does not answer, or sends anything else than a report, has no report.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import aiohttp

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.types import (
    AccessReport,
    Counters,
    GatewayReport,
    ShadowReport,
    VerificationProgress,
    VersionReport,
)

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0
IDLE_SECONDS = 4.0
"""How long a connection stays open for the next request. Polls of an analysis use it again. The probes at
rest do not: their connections would only take memory and file descriptors.
"""
SCHEMA = 1
_Parsed = TypeVar("_Parsed")


class GatewayClient(Protocol):
    """What the snapshot needs from a client of the gateways."""

    async def fetch_reports(self, pods: Iterable[Json]) -> dict[str, GatewayReport]:
        """The reports of these pods by pod uid. Pods that do not answer are left out."""

    async def fetch_progress(self, pod: Json) -> VerificationProgress | None:
        """The progress of a verification; None if its pod does not answer, or has nothing to report yet."""


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

    async def fetch_progress(self, pod: Json) -> VerificationProgress | None:
        """Poll the pod of a verification. None if it does not answer, or has nothing to report yet."""
        address = (pod.get("status") or {}).get("podIP")
        return await self._fetch(address, "progress", parse_progress) if address else None

    async def _fetch_report(self, address: str) -> GatewayReport | None:
        return await self._fetch(address, "rollout", parse_report)

    async def _fetch(self, address: str, path: str, parse: Callable[[Json], _Parsed]) -> _Parsed | None:
        if self._session is None:
            # The timeout includes the wait for a connection: with a limit, gateways that do not answer would
            # make others look like them.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            )
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{self._port}/{path}") as response:
                response.raise_for_status()
                return parse(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.debug("The pod at %s did not send its %s: %r", address, path, error)
            return None


def parse_progress(document: Json) -> VerificationProgress | None:
    """Parse the response to `GET /progress`; None while the pictures are not listed yet.

    Raises ValueError, KeyError or TypeError for anything else.
    """
    if document["schema"] != SCHEMA:
        raise ValueError(f"the progress has schema {document['schema']}; this operator reads schema {SCHEMA}")
    total, done, unreadable = (int(document[name]) for name in ("total", "done", "unreadable"))
    if not 0 <= unreadable <= done <= total < 2**31:
        raise ValueError(f"{done} of {total} pictures is no progress")
    return VerificationProgress(total, done, unreadable) if total else None


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
        access=_access(document.get("access") or {}),
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


def _access(report: Json) -> AccessReport:
    """A gateway of an earlier release sends no report on access, and is open."""
    return AccessReport(
        bool(report.get("needs_key")), _text(report.get("error")), _text(report.get("certificate_error"))
    )


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
