"""Leader election over a Lease: of several operators only the one that holds it works the queue.

`kubernetes.aio.leaderelection` is not used: it keeps time by the wall clock and writes local time as UTC,
lets a request hang for minutes while the Lease runs out, and ends on the first connection that is refused.
The rules are client-go's (tools/leaderelection): another's Lease counts as expired when it was not renewed
for its duration as seen by our own monotonic clock, so clocks of different nodes are never compared.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageclassifier_operator import metrics
from imageclassifier_operator.api.kinds import LEASES
from imageclassifier_operator.runtime.client import ApiError, Cluster

logger = logging.getLogger(__name__)

LEASE_NAME = "imageclassifier-operator"


class LeaseLostError(Exception):
    """Another may be leading by now: stop at once."""


@dataclass(frozen=True)
class Timing:
    """As in client-go: a Lease lasts `duration`, is given up after `deadline` without renewal, tried each
    `retry`.
    """

    duration_seconds: float = 15
    deadline_seconds: float = 10
    retry_seconds: float = 2


class Leader:
    """One candidate for the Lease. `identity` must be unique among all replicas and restarts."""

    def __init__(self, cluster: Cluster, namespace: str, identity: str, timing: Timing | None = None) -> None:
        self._cluster, self._namespace, self._identity = cluster, namespace, identity
        self._timing = timing or Timing()
        # The resourceVersion of another's Lease, and when it was new to us.
        self._seen: tuple[str, float] = ("", 0.0)

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._try():  # noqa: ASYNC110 - the Lease is asked for, nothing in this process tells
            await asyncio.sleep(self._timing.retry_seconds)
        logger.info("the Lease %s/%s is ours (%s)", self._namespace, LEASE_NAME, self._identity)
        metrics.LEADER.set(1)

    async def hold(self) -> None:
        """Renew the Lease for ever. Raises LeaseLostError."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._timing.retry_seconds)
            left = renewed + self._timing.deadline_seconds - time.monotonic()
            began = time.monotonic()
            try:
                held = await asyncio.wait_for(self._try(), timeout=max(0.1, left))
            except TimeoutError:
                held = False
            if held:
                renewed = began
            elif self._seen[0] or time.monotonic() - renewed >= self._timing.deadline_seconds:
                metrics.LEADER.set(0)
                raise LeaseLostError(f"the Lease {self._namespace}/{LEASE_NAME} could not be renewed")

    async def release(self) -> None:
        """Let go of the Lease, so that the next leader need not wait for its end."""
        try:
            lease = await self._cluster.read(LEASES, self._namespace, LEASE_NAME)
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._cluster.replace(LEASES, self._namespace, lease)
        except ApiError as error:
            logger.warning("the Lease was not released: %s", error)

    async def _try(self) -> bool:
        """Take or renew the Lease; whether it is ours now."""
        try:
            lease = await self._cluster.read(LEASES, self._namespace, LEASE_NAME)
            if lease is None:
                await self._cluster.create(LEASES, self._namespace, self._new())
            else:
                if not self._may_take(lease):
                    return False
                await self._cluster.replace(LEASES, self._namespace, self._taken(lease))
        except ApiError as error:
            if error.status != 409:  # another was quicker: no more to say
                logger.warning("the Lease was not renewed: %s", error)
            return False
        self._seen = ("", 0.0)
        return True

    def _may_take(self, lease: dict[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        duration = spec.get("leaseDurationSeconds") or self._timing.duration_seconds
        return time.monotonic() - self._seen[1] >= float(duration)

    def _new(self) -> dict[str, Any]:
        now = _now()
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": LEASE_NAME, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": round(self._timing.duration_seconds),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _taken(self, lease: dict[str, Any]) -> dict[str, Any]:
        spec, now = lease.get("spec") or {}, _now()
        ours = spec.get("holderIdentity") == self._identity
        return {
            **lease,
            "spec": {
                **spec,
                "holderIdentity": self._identity,
                "leaseDurationSeconds": round(self._timing.duration_seconds),
                "acquireTime": spec.get("acquireTime") or now if ours else now,
                "renewTime": now,
                "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if ours else 1),
            },
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
