"""The failures of a call to a version, and whether they count against that version. Pure.

The operator rolls a version back because of its failures. So a client must not be able to cause a failure
that counts. Most failures are therefore compared: another version gets the same request, and the failure
counts only if that version answers it.

A failure of a node must not count against a version either. So a call without a response counts only if the
version answers the gateway's next check. Failures of the pods themselves, such as crashes, appear in their
status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import grpc

#: If a call had less than this share of the request's whole time, its timeout does not count: slow URLs and
#: the pictures of other clients used up the rest.
_FAIR_SHARE = 0.1
#: A timeout counts only if the version is slower than another one by more than this factor. A single response
#: can be this much slower by chance.
_TIMEOUT_FACTOR = 2.0
#: Without another version to compare with, a timeout counts after this share of the request's whole time.
_ALONE_SHARE = 0.5

#: TensorFlow's message when an allocation fails (bfc_allocator.cc): the model is too large for its pod.
_OUT_OF_MEMORY = "OOM when allocating"
#: The message of TensorFlow's shared_batch_scheduler.h, which it sends as UNAVAILABLE.
_QUEUE_FULL = "batch scheduling queue"


class Suspect(Enum):
    """The probable cause of a failure, which decides whether it counts."""

    VERSION = "version"
    """No request is known to cause it. It counts, unless another version fails with the same request."""
    REQUEST = "request"
    """The request may have caused it. It counts only if another version answers the same request."""
    CONNECTION = "connection"
    """The connection was lost before a response. It counts only if the version answers the next check."""
    TIME = "time"
    """The deadline passed. It counts only if another version is much faster with the same request, and if the
    version answers the next check.
    """
    LOAD = "load"
    """There were too many requests at once, or the gateway closed the connection. It never counts."""


class ModelServerError(Exception):
    """The model server returned no usable response. `cause` is one of problems.CAUSES."""

    cause = "model-error"
    suspect = Suspect.VERSION


class ModelRefusedError(ModelServerError):
    """The model server refused the request as invalid."""

    suspect = Suspect.REQUEST


class ModelUnavailableError(ModelServerError):
    """No pod is reachable, or none accepted the call."""

    cause = "model-unavailable"
    suspect = Suspect.CONNECTION


class ModelDisconnectedError(ModelUnavailableError):
    """The call was cancelled, or the gateway closed the connection because the version left the routing."""

    suspect = Suspect.LOAD


class ModelOverloadedError(ModelUnavailableError):
    """The model server has too many calls, and did not start with this one."""

    cause = "overloaded"
    suspect = Suspect.LOAD


class ModelTimeoutError(ModelServerError):
    """The deadline passed before a response arrived."""

    cause = "model-timeout"
    suspect = Suspect.TIME


class MissingSignatureError(ModelServerError):
    """The model has no signature of that name."""


#: The error for each gRPC status code. The gateway builds the tensors itself, in the shape of the version's
#: contract and in batches that every model server accepts. So a client controls only the values of pixels,
#: the number of pictures, the remaining time and the load.
ERROR_OF_CODE: dict[grpc.StatusCode, type[ModelServerError]] = {
    # The call succeeded, but its response is not usable.
    grpc.StatusCode.OK: ModelServerError,
    # The gateway cancels calls only when it closes a connection. A server cancels them when it stops.
    grpc.StatusCode.CANCELLED: ModelDisconnectedError,
    # An operation failed in a way that has no other code (predict_util.cc).
    grpc.StatusCode.UNKNOWN: ModelServerError,
    # Too many pictures for the batching configuration or for a fixed batch dimension, or values that an
    # operation of the model rejects. Every request to a wrong signature gets it too.
    grpc.StatusCode.INVALID_ARGUMENT: ModelRefusedError,
    # The remaining time depends on the URLs and on the number of pictures.
    grpc.StatusCode.DEADLINE_EXCEEDED: ModelTimeoutError,
    # "Servable not found": the version is not loaded.
    grpc.StatusCode.NOT_FOUND: ModelServerError,
    # No operation of a prediction creates anything.
    grpc.StatusCode.ALREADY_EXISTS: ModelServerError,
    # A proxy or a policy stands between the gateway and the pods of this version.
    grpc.StatusCode.PERMISSION_DENIED: ModelServerError,
    grpc.StatusCode.UNAUTHENTICATED: ModelServerError,
    # No thread is free, or the call waited in the batching queue for too long: load, not the model.
    grpc.StatusCode.RESOURCE_EXHAUSTED: ModelOverloadedError,
    # "Serving signature key not found", or an output without a batch dimension.
    grpc.StatusCode.FAILED_PRECONDITION: ModelServerError,
    # TensorFlow cancels the operations that run in parallel with a failed one.
    grpc.StatusCode.ABORTED: ModelServerError,
    # The value of a pixel, used as an index, is beyond a table of the model.
    grpc.StatusCode.OUT_OF_RANGE: ModelRefusedError,
    # The server does not have an operation of the model.
    grpc.StatusCode.UNIMPLEMENTED: ModelServerError,
    # An operation of the model failed, or the connection broke the protocol.
    grpc.StatusCode.INTERNAL: ModelServerError,
    # The pods are gone, the network is broken, or a picture made the server crash.
    grpc.StatusCode.UNAVAILABLE: ModelUnavailableError,
    # The files of the model are damaged.
    grpc.StatusCode.DATA_LOSS: ModelServerError,
}


def error_class(code: grpc.StatusCode, details: str) -> type[ModelServerError]:
    """The error class for a gRPC status."""
    if _QUEUE_FULL in details:
        return ModelOverloadedError
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and _OUT_OF_MEMORY in details:
        return ModelServerError
    return ERROR_OF_CODE[code]


@dataclass(frozen=True)
class Failure:
    """The failure of a version to answer a request."""

    version: int
    error: ModelServerError
    #: The timeout of the failed call.
    allowed_seconds: float
    #: The time of all calls for the request, divided by the number of pictures; None without a call.
    seconds: float | None

    @property
    def got_no_answer(self) -> bool:
        """Whether there was no response, so that a node or the network may be the cause."""
        return self.error.suspect in (Suspect.CONNECTION, Suspect.TIME)

    def counts_alone(self, whole_seconds: float) -> bool:
        """Whether the failure counts if no other version got the request.

        `whole_seconds` is the timeout of a whole request.
        """
        match self.error.suspect:
            case Suspect.VERSION | Suspect.CONNECTION:
                return True
            case Suspect.TIME:
                return self.allowed_seconds >= whole_seconds * _ALONE_SHARE
            case _:
                return False

    def counts_beside(self, other_seconds: float, whole_seconds: float) -> bool:
        """Whether the failure counts if another version answered the same request in `other_seconds`."""
        match self.error.suspect:
            case Suspect.LOAD:
                return False
            case Suspect.TIME:
                return self.allowed_seconds >= max(
                    whole_seconds * _FAIR_SHARE, other_seconds * _TIMEOUT_FACTOR
                )
            case _:
                return True
