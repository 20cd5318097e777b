"""How a call to a version can fail, and which failures count against that version. Pure.

The operator rolls a version back because of its failures, so a client must not be able to cause one that
counts. Most failures are therefore compared: another version gets the same request, and the failure counts
only if that version answers it.

Nor is a version to blame for the nodes of its pods. A call that got no answer at all counts only if the
version answers the gateway's next check. What ends the pods themselves, such as a crash, shows in their
status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import grpc

#: Below this share of a request's whole time, a timeout says nothing about the version: slow URLs and the
#: pictures of other clients used up the rest.
_FAIR_SHARE = 0.1
#: A version that is never slower than another by more than this factor is not called hanging: a single
#: answer may be that much slower by chance.
_TIMEOUT_FACTOR = 2.0
#: Without another version to compare with, a timeout counts after this share of the request's whole time.
_ALONE_SHARE = 0.5

#: TensorFlow's message when an allocation fails (bfc_allocator.cc): the model is too large for its pod.
_OUT_OF_MEMORY = "OOM when allocating"
#: The message of TensorFlow's shared_batch_scheduler.h, which it sends as UNAVAILABLE.
_QUEUE_FULL = "batch scheduling queue"


class Suspect(Enum):
    """What a failure points to."""

    VERSION = "version"
    """Nothing that a client sends is known to cause it. It counts, unless another version fails as well."""
    REQUEST = "request"
    """The request may have caused it. It counts only if another version answers the same request."""
    CONNECTION = "connection"
    """No answer came, and the connection is lost. It counts only if the version answers afterwards."""
    TIME = "time"
    """The time ran out. It counts only if another version is much quicker with the same request, and if the
    version itself answers afterwards.
    """
    LOAD = "load"
    """Too many requests at once, or a connection that the gateway itself closed. It never counts."""


class ModelServerError(Exception):
    """The model server gave no usable answer. `cause` is one of problems.CAUSES."""

    cause = "model-error"
    suspect = Suspect.VERSION


class ModelRefusedError(ModelServerError):
    """The model server found the request itself invalid."""

    suspect = Suspect.REQUEST


class ModelUnavailableError(ModelServerError):
    """No pod could be reached, or none could take the call."""

    cause = "model-unavailable"
    suspect = Suspect.CONNECTION


class ModelDisconnectedError(ModelUnavailableError):
    """The call was cancelled, or the gateway closed the connection because the version left the routing."""

    suspect = Suspect.LOAD


class ModelOverloadedError(ModelUnavailableError):
    """The model server has too many calls to answer already, and did not begin with this one."""

    cause = "overloaded"
    suspect = Suspect.LOAD


class ModelTimeoutError(ModelServerError):
    """The deadline passed before an answer came."""

    cause = "model-timeout"
    suspect = Suspect.TIME


class MissingSignatureError(ModelServerError):
    """The model has no signature of that name."""


#: Every gRPC status code, and the error that it becomes. The gateway makes the tensors itself, in the shape
#: of the version's contract and in batches that every model server is configured to accept. So a request
#: decides only about the values of pixels, the number of pictures, the time that is left and the load.
ERROR_OF_CODE: dict[grpc.StatusCode, type[ModelServerError]] = {
    # The call succeeded; only an answer that cannot be used gets here.
    grpc.StatusCode.OK: ModelServerError,
    # The gateway cancels calls only when it closes a connection. A server cancels them when it stops.
    grpc.StatusCode.CANCELLED: ModelDisconnectedError,
    # "predict_util.cc": an operation failed in a way that has no code of its own.
    grpc.StatusCode.UNKNOWN: ModelServerError,
    # Too many pictures for the batching configuration or for a fixed batch dimension, or values that an
    # operation of the model rejects. A wrong signature gives it too, and then for every request.
    grpc.StatusCode.INVALID_ARGUMENT: ModelRefusedError,
    # How much time was left depends on the URLs and on the number of pictures.
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
    # TensorFlow cancels operations beside the one that failed.
    grpc.StatusCode.ABORTED: ModelServerError,
    # The value of a pixel, used as an index, is beyond a table of the model.
    grpc.StatusCode.OUT_OF_RANGE: ModelRefusedError,
    # An operation that this server does not have.
    grpc.StatusCode.UNIMPLEMENTED: ModelServerError,
    # An operation of the model failed, or the connection broke the protocol.
    grpc.StatusCode.INTERNAL: ModelServerError,
    # The pods are gone, the network is broken, or a picture made the server crash.
    grpc.StatusCode.UNAVAILABLE: ModelUnavailableError,
    # The files of the model are damaged.
    grpc.StatusCode.DATA_LOSS: ModelServerError,
}


def error_class(code: grpc.StatusCode, details: str) -> type[ModelServerError]:
    """The error that a gRPC status stands for."""
    if _QUEUE_FULL in details:
        return ModelOverloadedError
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and _OUT_OF_MEMORY in details:
        return ModelServerError
    return ERROR_OF_CODE[code]


@dataclass(frozen=True)
class Failure:
    """A version that did not answer a request."""

    version: int
    error: ModelServerError
    #: What was left for the call that failed.
    allowed_seconds: float
    #: What all calls for the request took for each picture; None when none was made.
    seconds: float | None

    @property
    def got_no_answer(self) -> bool:
        """Whether the version said nothing, so that its node or the network may be the cause."""
        return self.error.suspect in (Suspect.CONNECTION, Suspect.TIME)

    def counts_alone(self, whole_seconds: float) -> bool:
        """Whether the failure counts against the version when no other one was asked.

        `whole_seconds` is the time that a request has in all.
        """
        match self.error.suspect:
            case Suspect.VERSION | Suspect.CONNECTION:
                return True
            case Suspect.TIME:
                return self.allowed_seconds >= whole_seconds * _ALONE_SHARE
            case _:
                return False

    def counts_beside(self, other_seconds: float, whole_seconds: float) -> bool:
        """Whether the failure counts when another version answered the same request in `other_seconds`."""
        match self.error.suspect:
            case Suspect.LOAD:
                return False
            case Suspect.TIME:
                return self.allowed_seconds >= max(
                    whole_seconds * _FAIR_SHARE, other_seconds * _TIMEOUT_FACTOR
                )
            case _:
                return True
