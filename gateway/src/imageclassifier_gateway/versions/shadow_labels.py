"""Classifies the pictures of a shadow job with the shadow version."""

from __future__ import annotations

from ..limits.decoding import Decoder
from . import batches
from .model_server_errors import ModelUnavailableError
from .shadow import ShadowJob


def shadow_labels(job: ShadowJob, *, decoder: Decoder, timeout_seconds: float) -> list[str]:
    """The labels of the shadow version for the pictures of a job.

    Raises ModelServerError or PictureError.
    """
    contract = job.version.state.contract
    if contract is None:
        raise ModelUnavailableError(f"Version {job.version.number} of {job.version.model} is not available.")
    labels: list[str] = []
    for first in range(0, len(job.pictures), batches.MAX_PICTURES):
        pixels = [
            decoder.prepare_when_idle(each, contract.input) if isinstance(each, bytes) else each
            for each in job.pictures[first : first + batches.MAX_PICTURES]
        ]
        options = batches.CallOptions(timeout_seconds, retry_on_another_pod=False)
        scores = batches.predict(job.version.server, contract, pixels, options)
        labels += [each.label for each in scores.decisions(contract)]
    return labels
