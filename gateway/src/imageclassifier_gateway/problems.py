"""Problem documents (RFC 9457): all causes of failed requests, with advice for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

MEDIA_TYPE = "application/problem+json"


class Cause(NamedTuple):
    """The status, title and advice that all problems of one cause share."""

    status: int
    title: str
    advice: str
    """What the client or the owner of the gateway can do."""


#: The prefix of a problem's `type`. It is a tag URI (RFC 4151), because the gateway does not know its
#: absolute address, and a relative URI would change its meaning behind a path prefix (RFC 9457, section
#: 3.1.1).
TYPE_PREFIX = "tag:imageclassifier.dev,2026:"

#: Each key is the end of a problem's `type`, its anchor on the page `/problems`, and its label in the metric.
CAUSES: dict[str, Cause] = {
    "bad-request": Cause(
        400,
        "The request is invalid",
        "Send a picture as the body, a multipart form with pictures as files, or JSON. `/openapi.json` "
        "describes each of them.",
    ),
    "key-missing": Cause(
        401,
        "An API key is needed",
        "Send the key that you got from the owner of the gateway in the header `X-API-Key`, or as "
        "`Authorization: Bearer KEY`. The page asks for it.",
    ),
    "key-refused": Cause(
        403,
        "The API key is not valid",
        "Check that you sent the whole key. The owner of the gateway may have removed it: ask for a new one.",
    ),
    "cross-site-url": Cause(
        403,
        "Pages of other sites may not send URLs",
        "Send the picture itself. The owner of the gateway can add the origin of the page to "
        "`spec.gateway.cors.allowedOrigins`.",
    ),
    "not-found": Cause(404, "Not found", "Check the path, and the name and version of the model in it."),
    "method-not-allowed": Cause(405, "Method not allowed", "Use a method that the Allow header lists."),
    "body-too-slow": Cause(
        408, "The body did not arrive in time", "Send smaller pictures, or use a faster connection."
    ),
    "too-large": Cause(
        413,
        "The request or the picture is too large",
        "Send a smaller picture, or fewer pictures in one request. Most classifiers need no more than 512 "
        "pixels on a side.",
    ),
    "url-too-long": Cause(
        414, "The request's path is too long", "Send the picture or its URL in the request's body."
    ),
    "not-a-picture": Cause(
        415,
        "The file is not a supported picture",
        "Send JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC. If you sent a URL, check that it points to the "
        "picture itself and not to a page that shows it.",
    ),
    "compressed-body": Cause(
        415,
        "The body of the request is compressed",
        "Send it uncompressed, without the header Content-Encoding. Pictures are compressed already.",
    ),
    "broken-picture": Cause(
        422,
        "The picture is damaged",
        "Send it again, in case the upload was cut off. If that fails, save the picture again.",
    ),
    "no-heat-map": Cause(
        422,
        "The model has no heat maps",
        "Send the request without `explain`. Models that imageclassifier-training of this release has "
        "exported have heat maps.",
    ),
    "rate-limited": Cause(
        429,
        "Too many requests with this API key",
        "Retry after the number of seconds in Retry-After. The owner of the gateway can raise `rate` and "
        "`burst` of the key.",
    ),
    "headers-too-large": Cause(431, "The request's headers are too large", "Send fewer or shorter headers."),
    "unsupported-picture": Cause(
        422, "The encoding of the picture is not supported", "Save it as an ordinary JPEG or PNG."
    ),
    "url-refused": Cause(
        422,
        "The URL is not allowed",
        "Use http or https and a host with a public address, or send the picture itself. The owner of the "
        "gateway can change `spec.gateway.urls`.",
    ),
    "url-not-fetched": Cause(
        422,
        "The URL could not be fetched",
        "Check in a private browser window that everyone can open it, or send the picture itself.",
    ),
    "internal-error": Cause(
        500,
        "The gateway has a bug",
        "Report it with the request id. The log of the gateway has the details under this id.",
    ),
    "model-error": Cause(
        502,
        "The model returned no usable prediction",
        "Check the log of the model server, and how the model was exported.",
    ),
    "overloaded": Cause(
        503,
        "Too many requests at once",
        "Retry after the number of seconds in Retry-After. If the problem persists, raise "
        "`spec.gateway.replicas`, `spec.replicas` or their resources.",
    ),
    "not-ready": Cause(
        503,
        "The gateway has no model yet",
        "Retry after the number of seconds in Retry-After. If the problem persists, `kubectl describe "
        "imageclassifier` shows the cause.",
    ),
    "model-unavailable": Cause(
        503,
        "The model cannot be reached",
        "Retry after the number of seconds in Retry-After. If the problem persists, `kubectl describe "
        "imageclassifier` shows the cause.",
    ),
    "model-timeout": Cause(
        504,
        "The model did not answer in time",
        "Retry with fewer pictures in one request, or give the model more CPU.",
    ),
    "timeout": Cause(
        504, "The request took too long", "Retry with fewer or smaller pictures in one request."
    ),
}
#: The limit for links that are relative to the path, since proxies and clients refuse long headers. Paths of
#: the gateway have at most 6 segments.
_MAX_PATH_DEPTH = 16

#: Temporary problems, and the seconds after which a client should retry.
RETRY_AFTER_SECONDS = {"overloaded": 1, "not-ready": 2, "model-unavailable": 2}


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818  RFC 9457's term
    """A failed request. `cause` is a key of CAUSES, and the client gets `detail`."""

    cause: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)
        if self.cause in RETRY_AFTER_SECONDS:
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS[self.cause]))

    @property
    def status(self) -> int:
        """The HTTP status of the cause."""
        return CAUSES[self.cause].status

    def link(self, path: str) -> str:
        """The Link header of a response: it leads from `path` to the cause on the page `/problems`.

        The link is relative, so that it works behind a path prefix.
        """
        above = path.count("/") - 1
        if above > _MAX_PATH_DEPTH:  # not a path of the gateway; correct without a prefix
            return f'</problems#{self.cause}>; rel="help"'
        return f'<{"../" * above}problems#{self.cause}>; rel="help"'

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document as JSON values."""
        cause = CAUSES[self.cause]
        return {
            "type": TYPE_PREFIX + self.cause,
            "title": cause.title,
            "status": cause.status,
            "detail": self.detail,
            "request_id": request_id,
        }


def internal_error(request_id: str) -> Problem:
    """The problem for a request that fails because of a bug in the gateway."""
    return Problem(
        "internal-error", f"This is a bug in the gateway. Its log has the details under {request_id}."
    )
