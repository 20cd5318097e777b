"""Every way a request can fail, as an RFC 9457 problem document: what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

MEDIA_TYPE = "application/problem+json"


class Cause(NamedTuple):
    """What is the same in all problems of one cause."""

    status: int
    title: str
    advice: str
    """What its sender, or the one who runs the gateway, can do about it."""


#: What a problem's `type` begins with. It is a tag URI (RFC 4151), as RFC 9457 section 3.1.1 proposes where
#: no absolute address is known: a relative one would change its meaning behind a path prefix.
TYPE_PREFIX = "tag:imageclassifier.dev,2026:"

#: The keys end a problem's `type`, name its paragraph on the page `/problems`, and label the error metric.
CAUSES: dict[str, Cause] = {
    "bad-request": Cause(
        400,
        "The request cannot be understood",
        "Send a picture as the body, a multipart form with pictures as files, or JSON. `/openapi.json` "
        "describes each of them.",
    ),
    "cross-site-url": Cause(
        403,
        "A page of another site may not have URLs fetched",
        "Send the picture itself. The owner of the gateway can allow the page's origin in "
        "`spec.gateway.cors.allowedOrigins`.",
    ),
    "not-found": Cause(
        404, "There is nothing here", "Look at the path, and at the model's name and version in it."
    ),
    "method-not-allowed": Cause(
        405, "This method is not allowed here", "Use one of the methods that the Allow header names."
    ),
    "body-too-slow": Cause(
        408, "The body did not arrive in time", "Send smaller pictures, or use a faster line."
    ),
    "too-large": Cause(
        413,
        "The request or the picture is too large",
        "Send a smaller picture, or fewer in one request: 512 pixels on a side are plenty for a classifier.",
    ),
    "url-too-long": Cause(
        414, "The request's path is too long", "Send the picture or its URL in the request's body."
    ),
    "not-a-picture": Cause(
        415,
        "This is not a picture that can be read",
        "Send JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC. For a URL, look whether it leads to the picture "
        "itself or to a page around it.",
    ),
    "broken-picture": Cause(
        422, "The picture is damaged", "Save it anew, or send it again: it may have been cut off on its way."
    ),
    "headers-too-large": Cause(431, "The request's headers are too large", "Send fewer or shorter headers."),
    "unsupported-picture": Cause(
        422, "The picture's form is not supported", "Save it as an ordinary JPEG or PNG."
    ),
    "url-refused": Cause(
        422,
        "The URL may not be fetched",
        "Use http or https and a host with a public address, or send the picture itself. Who runs the "
        "gateway can change `spec.gateway.urls`.",
    ),
    "url-not-fetched": Cause(
        422,
        "The URL could not be fetched",
        "Open it in a browser to see whether it is there for everybody, or send the picture itself.",
    ),
    "internal-error": Cause(
        500,
        "The gateway made a mistake",
        "Report it with the request's id, under which the gateway's log says more.",
    ),
    "model-error": Cause(
        502,
        "The model gave no usable answer",
        "Look at the model server's log, and at how the model was exported.",
    ),
    "overloaded": Cause(
        503,
        "Too many requests at once",
        "Try again after the seconds in Retry-After. If it goes on, raise `spec.gateway.replicas`, "
        "`spec.replicas` or their resources.",
    ),
    "not-ready": Cause(
        503,
        "The gateway has no model yet",
        "Try again after the seconds in Retry-After. If it goes on, `kubectl describe imageclassifier` "
        "says why.",
    ),
    "model-unavailable": Cause(
        503,
        "The model cannot be reached",
        "Try again after the seconds in Retry-After. If it goes on, `kubectl describe imageclassifier` "
        "says why.",
    ),
    "model-timeout": Cause(
        504,
        "The model took too long",
        "Try again, with fewer pictures in one request; or give the model more CPU.",
    ),
    "timeout": Cause(
        504, "The request took too long", "Try again, with fewer or smaller pictures in one request."
    ),
}
#: Paths of the gateway have at most 6 segments. Proxies and clients refuse long headers in a response.
_MAX_PATH_DEPTH = 16

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
        return CAUSES[self.cause].status

    def link(self, path: str) -> str:
        """The Link header of an answer to a request for this path: the problem's paragraph on the page
        `/problems`, relative to the path, so that it holds behind any path prefix."""
        above = path.count("/") - 1
        if above > _MAX_PATH_DEPTH:  # no path of ours: right where no prefix stands before them
            return f'</problems#{self.cause}>; rel="help"'
        return f'<{"../" * above}problems#{self.cause}>; rel="help"'

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as JSON values."""
        cause = CAUSES[self.cause]
        return {
            "type": TYPE_PREFIX + self.cause,
            "title": cause.title,
            "status": cause.status,
            "detail": self.detail,
            "request_id": request_id,
        }


def internal_error(request_id: str) -> Problem:
    """The problem of a request whose failure is a bug of the gateway."""
    return Problem("internal-error", f"This is a bug of the gateway. Its log says more, under {request_id}.")
