"""Leader election with a Lease: of several replicas only the leader, which holds the Lease, reconciles.

`kubernetes.aio.leaderelection` is not used: it measures time by the wall clock and writes local time as UTC,
lets a request hang for minutes while the Lease expires, and ends at the first refused connection. The rules
are those of client-go (tools/leaderelection): the Lease of another replica has expired when it was not
renewed for its duration, measured by our own monotonic clock. So clocks of different nodes are never
compared.

The leader renews in a thread of its own. In the event loop of the workers, each step of a renewal waits until
all 32 workers have had their turn. On an overloaded machine that takes so long that the Lease expires. The
thread does not renew while the event loop of the workers stands still.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageclassifier_operator import metrics
from imageclassifier_operator.api.kinds import LEASES
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.clock import elapsed
from imageclassifier_operator.runtime.own_thread import run_in_own_thread

logger = logging.getLogger(__name__)

LEASE_NAME = "imageclassifier-operator"
BEAT_SECONDS = 0.5


class LeaseLostError(Exception):
    """Another replica may lead now, so this one must stop at once."""


@dataclass(frozen=True)
class Timing:
    """As in client-go: how long a Lease lasts, when a leader stops renewing it, and how often it tries."""

    duration_seconds: float = 15
    deadline_seconds: float = 10
    retry_seconds: float = 2


async def connect() -> KubernetesClient:
    """A client for the renewals. A client belongs to one event loop."""
    return await KubernetesClient.connect(None)


class LeaderElection:
    """One replica's part in the election. `identity` must be unique among all replicas and restarts."""

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        identity: str,
        timing: Timing | None = None,
        connect: Callable[[], Awaitable[KubernetesClient]] = connect,
    ) -> None:
        self._client, self._namespace, self._identity = client, namespace, identity
        self._timing, self._connect = timing or Timing(), connect
        # The resourceVersion of another replica's Lease, and when we first observed it.
        self._observed: tuple[str, float] = ("", 0.0)
        self._expires = 0.0
        self._beaten = 0.0
        """When the event loop of the workers last had a turn for us."""

    def may_write(self) -> bool:
        """Whether no other replica can lead now: the Lease, as renewed last, has not expired.

        A process that stood still for longer finds out only so, before its next attempt to renew.
        """
        return elapsed() < self._expires

    async def acquire(self) -> None:
        """Wait until this replica holds the Lease."""
        while not await self._acquire_or_renew(self._client):  # noqa: ASYNC110 - the Lease can only be polled
            await asyncio.sleep(self._timing.retry_seconds)
        logger.info("Acquired the Lease %s/%s as %s", self._namespace, LEASE_NAME, self._identity)
        metrics.LEADER.set(1)

    async def hold(self) -> None:
        """Renew the Lease until that fails. Raises LeaseLostError."""
        async with self._beating():
            await run_in_own_thread(self._renew)

    async def _renew(self) -> None:
        client = await self._connect()
        try:
            await self._renew_until_lost(client)
        finally:
            await client.close()

    async def _renew_until_lost(self, client: KubernetesClient) -> None:
        renewed = elapsed()
        while True:
            await asyncio.sleep(self._timing.retry_seconds)
            if elapsed() - self._beaten > self._timing.deadline_seconds:
                continue  # the workers stand still, so another replica may do better
            left = renewed + self._timing.deadline_seconds - elapsed()
            began = elapsed()
            try:
                async with asyncio.timeout(max(0.1, left)):
                    held = await self._acquire_or_renew(client)
            except TimeoutError:
                held = False
            if held:
                renewed = began
            elif self._observed[0] or elapsed() - renewed >= self._timing.deadline_seconds:
                metrics.LEADER.set(0)
                raise LeaseLostError(f"Cannot renew the Lease {self._namespace}/{LEASE_NAME}")

    @contextlib.asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        """Note all the time that this event loop runs."""

        async def beat() -> None:
            while True:
                self._beaten = elapsed()
                await asyncio.sleep(BEAT_SECONDS)

        self._beaten, beats = elapsed(), asyncio.create_task(beat())
        try:
            yield
        finally:
            beats.cancel()

    async def release(self) -> None:
        """Release the Lease, so that the next leader need not wait until it expires.

        The deadline is that of a renewal: the Lease expires soon after it, and the pod has to end within its
        grace period.
        """
        try:
            async with asyncio.timeout(self._timing.deadline_seconds):
                lease = await self._client.read(LEASES, self._namespace, LEASE_NAME)
                if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._client.replace(LEASES, self._namespace, lease)
        except (ApiError, TimeoutError) as error:
            reason = str(error) or "the API server did not respond in time"
            logger.warning("Cannot release the Lease: %s", reason)

    async def _acquire_or_renew(self, client: KubernetesClient) -> bool:
        """Acquire or renew the Lease. Returns whether this replica holds it now."""
        began = elapsed()
        try:
            lease = await client.read(LEASES, self._namespace, LEASE_NAME)
            if lease is None:
                await client.create(LEASES, self._namespace, self._new_lease())
            else:
                if not self._may_acquire(lease):
                    return False
                await client.replace(LEASES, self._namespace, self._acquired(lease))
        except ApiError as error:
            if error.status != 409:  # another replica was faster
                logger.warning("Cannot acquire or renew the Lease: %s", error)
            return False
        self._observed = ("", 0.0)
        self._expires = began + self._timing.duration_seconds
        return True

    def _may_acquire(self, lease: dict[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder in ("", self._identity):
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._observed[0]:
            self._observed = (version, elapsed())
        duration = spec.get("leaseDurationSeconds") or self._timing.duration_seconds
        return elapsed() - self._observed[1] >= float(duration)

    def _new_lease(self) -> dict[str, Any]:
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

    def _acquired(self, lease: dict[str, Any]) -> dict[str, Any]:
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
