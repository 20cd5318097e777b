"""Calls one version with labelled pictures, and waits if its pod is temporarily unavailable."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..contract import Contract
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..versions.batches import CallOptions, predict_pixels
from ..versions.model_server_client import ModelServer
from ..versions.model_server_errors import ModelTimeoutError, ModelUnavailableError
from .outcome import NotCarriedOutError

CALL_SECONDS = 10.0
RETRY_SECONDS = 0.5
#: How long a version may be unreachable. Its only pod may have to start on another node.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class VersionCalls:
    """The calls to one version, with its contract and the deadline of the verification."""

    server: ModelServer
    contract: Contract
    deadline: Deadline
    patience_seconds: float = PATIENCE_SECONDS

    def label(self, pixels: Pixels) -> str:
        """The label that the version predicts.

        Each call has one picture, so that users' requests to the same pod wait for one picture at most.
        Raises ModelServerError, but ModelUnavailableError and ModelTimeoutError only after
        `patience_seconds`.
        """
        give_up = Deadline.after(self.patience_seconds)
        while True:
            options = CallOptions(min(self._remaining_seconds(), CALL_SECONDS), retry_on_another_pod=True)
            try:
                scores = predict_pixels(self.server, self.contract, [pixels], options)
                return scores.decisions(self.contract)[0].label
            except (ModelUnavailableError, ModelTimeoutError):
                self._remaining_seconds()
                if give_up.remaining_seconds() <= RETRY_SECONDS:
                    raise
                time.sleep(RETRY_SECONDS)

    def _remaining_seconds(self) -> float:
        """The seconds until the deadline of the verification. Raises NotCarriedOutError if there are none."""
        remaining = self.deadline.remaining_seconds()
        if remaining <= 0:
            raise NotCarriedOutError("The deadline of the verification has passed.")
        return remaining
