"""Decides whether a server's response to a fetch is a picture. No I/O.

Object stores return what the uploader declared, so Content-Type and Content-Encoding are often wrong:
browsers show a picture under any type. The first bytes decide here too.
"""

from __future__ import annotations

from ..pixels.fileformats import is_known

#: The content codings that change the bytes (IANA, HTTP Content Coding Registry). Object stores also return
#: `base64`, `aws-chunked` or `utf-8`, which uploaders set by mistake; the bytes are the picture itself.
_CODINGS = frozenset({
    "aes128gcm", "br", "compress", "x-compress", "dcb", "dcz", "deflate", "exi", "gzip", "x-gzip",
    "pack200-gzip", "zstd",
})  # fmt: skip
#: Types of unknown content. The decoder checks the bytes.
_OPAQUE_TYPES = ("application/octet-stream", "binary/octet-stream", "")
_PAGE_TYPES = ("text/html", "application/xhtml+xml")
#: The statuses of a response with a picture. Transforming proxies send 203.
_PICTURE_STATUSES = (200, 203)
_MEANING_OF_STATUS = {
    401: "It wants a login, which the gateway does not have.",
    403: "It refuses programs, wants a login, or the signature of the URL has expired.",
    404: "The picture does not exist. Check the URL.",
    410: "The picture was removed.",
    429: "It gets too many requests. Retry later.",
}
_SEND_IT_YOURSELF = "If a browser shows the picture, save it and send the picture itself."


def status_problem(host: str, status: int) -> str | None:
    """Why a response with this status is not the picture; None if it may be."""
    if status in _PICTURE_STATUSES:
        return None
    meaning = _MEANING_OF_STATUS.get(status, "")
    if not meaning and status >= 500:
        meaning = "The server failed. Retry later."
    return " ".join(filter(None, (f"{host} answered with status {status}.", meaning, _SEND_IT_YOURSELF)))


def coding_of(content_encoding: str) -> str | None:
    """The first coding in a Content-Encoding that changes the bytes; None if there is none."""
    names = (name.strip() for name in content_encoding.lower().split(","))
    return next((name for name in names if name in _CODINGS), None)


def is_gzip(content_encoding: str) -> bool:
    """Whether the only coding that changes the bytes is gzip, applied once."""
    names = [name.strip() for name in content_encoding.lower().split(",")]
    return [name for name in names if name in _CODINGS] in (["gzip"], ["x-gzip"])


def coding_problem(host: str, content_encoding: str) -> str | None:
    """Why the bytes of a response with this Content-Encoding cannot be read; None if they can."""
    coding = coding_of(content_encoding)
    if coding is None or is_gzip(content_encoding):
        return None
    return (
        f"{host} sent the picture compressed with '{coding}', although the request accepts no compression. "
        "Store the picture uncompressed, without the header Content-Encoding."
    )


def type_problem(media_type: str, start: bytes) -> str | None:
    """Why content of this type that begins with these bytes is not a picture; None if it may be."""
    if media_type.startswith("image/") or media_type in _OPAQUE_TYPES or is_known(start):
        return None
    if media_type in _PAGE_TYPES:
        return (
            f"The URL returns a page ('{media_type}') and not a picture. Open the page, and copy the address "
            "of the picture itself."
        )
    return f"The URL returns '{media_type[:60]}' and not a picture in a supported format."
