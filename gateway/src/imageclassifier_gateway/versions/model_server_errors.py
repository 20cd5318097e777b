"""The errors of a call to the model server, each with its probable cause. Pure.

`ERROR_OF_CODE` has the error for each gRPC status. `counted_failures` decides which errors count against the
version.
"""

from __future__ import annotations

from enum import Enum

import grpc

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
