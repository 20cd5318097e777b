"""Asking our own gateways what they do: `GET /rollout` on the internal port of every pod, all at once.

A pod that cannot be asked, or answers something else, gives no verdict.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import aiohttp

from imageclassifier_operator.api import names
from imageclassifier_operator.observe.types import Counters, GatewayReport, ShadowReport, VersionReport

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 1.0
SCHEMA = 1


class Gateways(Protocol):
    """What `reconcile` needs to know of gateways."""

    async def ask(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        """The reports of these pods, by pod uid; those that gave none are left out."""


class HttpGateways:
    """The gateways of a cluster, asked over HTTP at their pods' addresses."""

    def __init__(self, port: int = names.GATEWAY_INTERNAL_PORT) -> None:
        self._port = port
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, pods: Iterable[Mapping[str, Any]]) -> dict[str, GatewayReport]:
        asked = [pod for pod in pods if (pod.get("status") or {}).get("podIP")]
        answers = await asyncio.gather(*(self._ask_one(pod["status"]["podIP"]) for pod in asked))
        return {
            pod["metadata"]["uid"]: answer
            for pod, answer in zip(asked, answers, strict=True)
            if answer is not None
        }

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask_one(self, address: str) -> GatewayReport | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{self._port}/rollout") as response:
                response.raise_for_status()
                return parse_report(await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.debug("the gateway at %s gave no report: %r", address, error)
            return None


def parse_report(document: Mapping[str, Any]) -> GatewayReport:
    """The answer to `GET /rollout`, see docs/architecture.md.

    Raises ValueError, KeyError, TypeError or AttributeError for anything else.
    """
    if document["schema"] != SCHEMA:
        raise ValueError(f"the report has schema {document['schema']}, this operator reads {SCHEMA}")
    shadow = document.get("shadow")
    return GatewayReport(
        start_id=document["start_id"],
        revision=int(document["revision"] or 0),
        routing_error=_sentence(document.get("routing_error")),
        versions={int(version): _version(said) for version, said in document["versions"].items()},
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


def _sentence(said: Any) -> str | None:
    return None if said is None else str(said)


def _version(said: Mapping[str, Any]) -> VersionReport:
    return VersionReport(
        ready=bool(said["ready"]),
        error=_sentence(said.get("error")),
        contract_digest=said.get("contract_digest"),
        counters=Counters(
            requests=int(said["requests"]),
            errors=int(said["errors"]),
            buckets={bound: int(count) for bound, count in said["latency_seconds"]["buckets"].items()},
        ),
    )
