"""The failures of a version that count against it, so that the operator may roll it back. Pure.

A client must not be able to cause a failure that counts. So most failures are compared: another version gets
the same request, and the failure counts only if that version answers it.

A failure of a node must not count against a version either. So a call without a response counts only if the
version answers the gateway's next check. The operator sees crashes of the pods in their status.
"""

from __future__ import annotations

from dataclasses import dataclass

from .model_server_errors import ModelServerError, Suspect

#: If a call had less than this share of the request's whole time, its timeout does not count: slow URLs and
#: the pictures of other clients used up the rest.
_FAIR_SHARE = 0.1
#: A timeout counts only if the version is slower than another one by more than this factor. A single response
#: can be this much slower by chance.
_TIMEOUT_FACTOR = 2.0
#: Without another version to compare with, a timeout counts after this share of the request's whole time.
_ALONE_SHARE = 0.5


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
