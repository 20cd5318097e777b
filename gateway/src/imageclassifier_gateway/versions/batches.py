"""Calls a version with prepared pictures: splits them into calls, and checks the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..contract import SERVING_SIGNATURE, Contract, ContractError, ModelInput
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from .model_failures import ModelRefusedError, ModelServerError
from .model_server_client import ModelServer, array

#: The maximum number of pictures in one call. Every model server accepts it: the operator configures batching
#: for this size (render/model_server.py), and training warms exported models up with it (saved_model.py).
#: More pictures would take more memory but hardly increase the throughput.
MAX_PICTURES = 8

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CallOptions:
    """How long a call may take, whether it is retried on another pod, and the metadata that it carries."""

    timeout_seconds: float
    retry: bool
    metadata: Metadata = ()


def picture_bytes(wanted: ModelInput) -> int:
    """The bytes of memory for one prepared picture and all its copies, including the gRPC message."""
    pixels = 3 * wanted.height * wanted.width
    return pixels * (2 + 3 * np.dtype(wanted.dtype).itemsize)


def pictures_per_call(wanted: ModelInput, max_bytes: int) -> int:
    """The number of pictures that are prepared and sent at once.

    At most MAX_PICTURES, fewer if they would take more than `max_bytes`, and at least one.
    """
    return max(1, min(MAX_PICTURES, max_bytes // picture_bytes(wanted)))


def predict(
    server: ModelServer, contract: Contract, pixels: Sequence[Pixels], options: CallOptions
) -> NDArray[np.float64]:
    """The probabilities of prepared pictures, float64 `(pictures, classes)`.

    If a model refuses several pictures at once, for example because of a fixed batch dimension, each picture
    gets its own call. Raises ModelServerError if a call fails or its response is invalid.
    """
    deadline = Deadline.after(options.timeout_seconds)
    try:
        return predict_pixels(server, contract, pixels, options)
    except ModelRefusedError:
        if len(pixels) == 1:
            raise
    rows = [
        predict_pixels(
            server, contract, [each], replace(options, timeout_seconds=deadline.remaining_seconds())
        )
        for each in pixels
    ]
    return np.concatenate(rows)


def predict_pixels(
    server: ModelServer, contract: Contract, pixels: Sequence[Pixels], options: CallOptions
) -> NDArray[np.float64]:
    """The probabilities of prepared pictures from exactly one call. Raises as `predict` does."""
    batch = np.stack(pixels) if len(pixels) > 1 else pixels[0][np.newaxis]
    answer = server.predict(
        SERVING_SIGNATURE,
        {contract.input.tensor: contract.input.tensor_values(batch)},
        contract.output.tensor,
        timeout_seconds=options.timeout_seconds,
        retry=options.retry,
        metadata=options.metadata,
    )
    try:
        probabilities = contract.probabilities(array(answer))
    except ContractError as error:
        raise ModelServerError(str(error)) from None
    if len(probabilities) != len(pixels):
        raise ModelServerError(f"The model returned {len(probabilities)} rows for {len(pixels)} pictures.")
    return probabilities
