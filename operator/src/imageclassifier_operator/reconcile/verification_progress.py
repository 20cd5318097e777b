"""Polls the pod of a verification for its progress, every few seconds, while it compares pictures."""

from collections.abc import Iterable
from dataclasses import dataclass

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.gateway_client import GatewayClient
from imageclassifier_operator.observe.types import VerificationProgress

PROGRESS_POLL_SECONDS = 3.0


@dataclass
class ProgressPoller:
    """The last progress of one ImageClassifier's verification. `pod`: the uid of its pod."""

    pod: str = ""
    polled_at: float = 0.0
    progress: VerificationProgress | None = None

    async def poll(
        self, client: GatewayClient, pods: Iterable[Json], now: float
    ) -> VerificationProgress | None:
        """The progress of the pod that runs; None without one, or before it has listed its pictures."""
        running = next((pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"), None)
        if running is None:
            self.pod, self.progress = "", None
            return None
        uid = running["metadata"]["uid"]
        if uid != self.pod:
            self.pod, self.polled_at, self.progress = uid, 0.0, None
        if now - self.polled_at >= PROGRESS_POLL_SECONDS:
            self.polled_at = now
            self.progress = await client.fetch_progress(running) or self.progress
        return self.progress
