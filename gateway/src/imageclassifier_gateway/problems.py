"""Every way a request can fail, as an RFC 9457 problem document: what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/problem+json"

#: cause -> (status, title). The cause is also the `type` (a URI reference, RFC 9457 section 3.1.1) and the
#: label of the error metric.
CAUSES: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request cannot be understood"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "body-too-slow": (408, "The body did not arrive in time"),
    "too-large": (413, "The request or the picture is too large"),
    "url-too-long": (414, "The request's path is too long"),
    "not-a-picture": (415, "This is not a picture that can be read"),
    "broken-picture": (422, "The picture is damaged"),
    "headers-too-large": (431, "The request's headers are too large"),
    "unsupported-picture": (422, "The picture's form is not supported"),
    "url-refused": (422, "The URL may not be fetched"),
    "url-not-fetched": (422, "The URL could not be fetched"),
    "internal-error": (500, "The gateway made a mistake"),
    "model-error": (502, "The model gave no usable answer"),
    "overloaded": (503, "Too many requests at once"),
    "not-ready": (503, "The gateway has no model yet"),
    "model-unavailable": (503, "The model cannot be reached"),
    "model-timeout": (504, "The model took too long"),
    "timeout": (504, "The request took too long"),
}
#: Problems that pass by themselves: the answer says after how many seconds to try again.
RETRY_AFTER_SECONDS = {"overloaded": 1, "not-ready": 2, "model-unavailable": 2}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  RFC 9457's term
    """A failure with the sentence its sender reads. `cause` is a key of CAUSES."""

    cause: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)
        if self.cause in RETRY_AFTER_SECONDS:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS[self.cause]))

    @property
    def status(self) -> int:
        return CAUSES[self.cause][0]

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as JSON values."""
        status, title = CAUSES[self.cause]
        return {
            "type": f"/problems#{self.cause}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "request_id": request_id,
        }
