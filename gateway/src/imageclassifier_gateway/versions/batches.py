"""Calls to a version with prepared pictures: how many go into one call, and what their answers must be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..contract import SERVING_SIGNATURE, Contract, ContractError, ModelInput
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from .model_failures import ModelRefusedError, ModelServerError
from .model_server_client import ModelServer, array

#: Pictures in one call. Every model server accepts so many: the operator configures batching for it
#: (render/model_server.py), and training warms an exported model up with it (saved_model.py). The model's
#: throughput hardly grows beyond it, while the memory of pixels does.
MAX_PICTURES = 8

Metadata = tuple[tuple[str, str], ...]


def picture_bytes(wanted: ModelInput) -> int:
    """The bytes of memory for one prepared picture, with all its copies up to the message."""
    pixels = 3 * wanted.height * wanted.width
    return pixels * (2 + 3 * np.dtype(wanted.dtype).itemsize)


def pictures_per_call(wanted: ModelInput, max_bytes: int) -> int:
    """The number of pictures that are prepared and sent at once.

    At most MAX_PICTURES, fewer if they would take more than `max_bytes`, and at least one.
    """
    return max(1, min(MAX_PICTURES, max_bytes // picture_bytes(wanted)))


def predict(
    server: ModelServer,
    contract: Contract,
    pixels: Sequence[Pixels],
    timeout_seconds: float,
    *,
    retry: bool,
    metadata: Metadata = (),
) -> NDArray[np.float64]:
    """The probabilities of prepared pictures, float64 `(pictures, classes)`.

    A model that refuses several pictures at once, such as one with a fixed batch dimension, gets one at a
    time: how many a client sends must not make a model fail. Raises ModelServerError when a call fails or its
    answer cannot be right.
    """
    deadline = Deadline.after(timeout_seconds)
    try:
        return predict_pixels(server, contract, pixels, timeout_seconds, retry=retry, metadata=metadata)
    except ModelRefusedError:
        if len(pixels) == 1:
            raise
    rows = [
        predict_pixels(server, contract, [each], deadline.remaining_seconds(), retry=retry, metadata=metadata)
        for each in pixels
    ]
    return np.concatenate(rows)


def predict_pixels(
    server: ModelServer,
    contract: Contract,
    pixels: Sequence[Pixels],
    timeout_seconds: float,
    *,
    retry: bool,
    metadata: Metadata = (),
) -> NDArray[np.float64]:
    """As `predict`, in exactly one call."""
    batch = np.stack(pixels) if len(pixels) > 1 else pixels[0][np.newaxis]
    answer = server.predict(
        SERVING_SIGNATURE,
        {contract.input.tensor: contract.input.tensor_values(batch)},
        contract.output.tensor,
        timeout_seconds=timeout_seconds,
        retry=retry,
        metadata=metadata,
    )
    try:
        probabilities = contract.probabilities(array(answer))
    except ContractError as error:
        raise ModelServerError(str(error)) from None
    if len(probabilities) != len(pixels):
        raise ModelServerError(f"The model returned {len(probabilities)} rows for {len(pixels)} pictures.")
    return probabilities
