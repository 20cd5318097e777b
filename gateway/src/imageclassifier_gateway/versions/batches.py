"""Calls a version with prepared pictures: splits them into calls, and checks the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..contract import Contract, ContractError, Decision, Explanation, ModelInput
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels.tensors import tensor_values
from ..tracing import Metadata
from .model_server_client import ModelServer, array
from .model_server_errors import ModelRefusedError, ModelServerError

#: The maximum number of pictures in one call. Every model server accepts it: the operator configures batching
#: for this size (render/model_server.py), and training warms exported models up with it (saved_model.py).
#: More pictures would take more memory but hardly increase the throughput.
MAX_PICTURES = 8


@dataclass(frozen=True)
class CallOptions:
    """How long a call may take, whether it is retried on another pod, and the metadata that it carries."""

    timeout_seconds: float
    retry_on_another_pod: bool
    metadata: Metadata = ()


@dataclass(frozen=True)
class Scores:
    """What a model returned for some pictures: probabilities, float64 `(pictures, classes)`.

    `distances` from the training pictures, float64 `(pictures,)`; None if the model does not return them.
    `maps` are those of a call that explains the predictions, float32 `(pictures, rows, columns, classes)`.
    """

    probabilities: NDArray[np.float64]
    distances: NDArray[np.float64] | None = None
    maps: NDArray[np.float32] | None = None

    def decisions(self, contract: Contract) -> list[Decision]:
        """The prediction for each picture."""
        return contract.decisions(self.probabilities, self.distances)

    def first(self, count: int) -> Scores:
        """The scores of the first pictures."""
        return Scores(
            self.probabilities[:count],
            None if self.distances is None else self.distances[:count],
            None if self.maps is None else self.maps[:count],
        )

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """The scores of several calls of one model."""
        distances = [each.distances for each in parts if each.distances is not None]
        return cls(
            np.concatenate([each.probabilities for each in parts]),
            np.concatenate(distances) if distances else None,
        )


def picture_bytes(wanted: ModelInput) -> int:
    """The bytes of memory for one prepared picture and all its copies, including the gRPC message."""
    pixels = 3 * wanted.height * wanted.width
    return pixels * (2 + 3 * wanted.value_bytes)


def memory_bytes(wanted: ModelInput, pictures: int) -> int:
    """The bytes of memory for the pictures of one call, including those that fill up a fixed batch."""
    return max(pictures, wanted.batch or 1) * picture_bytes(wanted)


def pictures_per_call(wanted: ModelInput, max_bytes: int) -> int:
    """The number of pictures that are prepared and sent at once.

    At most MAX_PICTURES, fewer if they would take more than `max_bytes`, and at least one.
    """
    return max(1, min(MAX_PICTURES, max_bytes // picture_bytes(wanted)))


def predict(
    server: ModelServer, contract: Contract, pixels: Sequence[Pixels], options: CallOptions
) -> Scores:
    """The scores of prepared pictures.

    If a model has a fixed batch dimension, each call has that many pictures. If it refuses several pictures
    at once for another reason, each picture gets its own call. Raises ModelServerError if a call fails or its
    response is invalid.
    """
    deadline = Deadline.after(options.timeout_seconds)
    size = contract.input.batch or len(pixels)
    if size >= len(pixels):
        try:
            return predict_pixels(server, contract, pixels, options)
        except ModelRefusedError:
            if len(pixels) == 1 or contract.input.batch:
                raise
        size = 1
    parts = [
        predict_pixels(
            server,
            contract,
            pixels[first : first + size],
            replace(options, timeout_seconds=deadline.remaining_seconds()),
        )
        for first in range(0, len(pixels), size)
    ]
    return Scores.joined(parts)


def predict_pixels(
    server: ModelServer,
    contract: Contract,
    pixels: Sequence[Pixels],
    options: CallOptions,
    explanation: Explanation | None = None,
) -> Scores:
    """The scores of prepared pictures from exactly one call. Raises as `predict` does.

    With an explanation, they have maps, and the call uses its signature. If the model has a fixed batch
    dimension, the last picture is repeated until the batch is full.
    """
    wanted = contract.input
    sent = [*pixels, *[pixels[-1]] * ((wanted.batch or len(pixels)) - len(pixels))]
    batch = np.stack(sent) if len(sent) > 1 else sent[0][np.newaxis]
    familiarity = contract.familiarity
    outputs = [
        contract.output.tensor,
        *([familiarity.tensor] if familiarity else []),
        *([explanation.tensor] if explanation else []),
    ]
    answers = server.predict(
        explanation.signature if explanation else wanted.signature,
        {wanted.tensor: tensor_values(batch, wanted)},
        outputs,
        timeout_seconds=options.timeout_seconds,
        retry=options.retry_on_another_pod,
        metadata=options.metadata,
    )
    try:
        values = array(answers[0])
        if "N" not in wanted.layout:
            values = values.reshape(1, -1)
        probabilities = contract.probabilities(values)
        distances = familiarity.distances(array(answers[1])) if familiarity else None
        maps = explanation.maps(array(answers[-1]), len(contract.classes)) if explanation else None
    except ContractError as error:
        raise ModelServerError(str(error)) from None
    for rows in (probabilities, distances, maps):
        if rows is not None and len(rows) != len(sent):
            raise ModelServerError(f"The model returned {len(rows)} rows for {len(sent)} pictures.")
    return Scores(probabilities, distances, maps).first(len(pixels))
