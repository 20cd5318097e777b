"""Requests for the files of a model: redirects, proxies, a private CA, and headers from a Secret.

Only HTTPS, except for a server that the spec names with an http:// URL.
"""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from .. import __version__
from .refusal import DownloadRefusedError

#: How long to wait for a connection or for the next bytes.
_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 2**20
_FIELD = "spec.model.source.https"
#: Responses that a later request may not get.
_TEMPORARY = (408, 425, 429)


@dataclass(frozen=True)
class Remote:
    """The URL of a file, and how to get it. `headers` come from the user's Secret, only for its host.

    `field`: the field of the spec that has the URL. `refusal`: what an error means, and what to do.
    """

    url: str
    ca_file: Path | None = None
    headers: Mapping[str, str] = dataclass_field(default_factory=dict)
    field: str = _FIELD
    refusal: Callable[[str, HTTPError], str] | None = None

    @property
    def shown(self) -> str:
        """The URL without its query, which may be a credential."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTPS only. The Secret's headers go to the host of the URL and to no other."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("https", urlsplit(self._remote.url).scheme):
            raise DownloadRefusedError(
                f"{self._remote.shown} redirects to a URL that is not HTTPS. Set {self._remote.field} to "
                "another server."
            )
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and urlsplit(newurl).netloc == urlsplit(self._remote.url).netloc:
            _add_headers(following, self._remote)
        return following


def open_url(remote: Remote, offset: int) -> Any:
    """The response with the archive from byte `offset` on, if the server supports that, or from the start.

    Raises DownloadRefusedError if a retry would not help, OSError or HTTPException otherwise.
    """
    request = urllib.request.Request(remote.url)  # noqa: S310 - the director below knows no other schemes
    request.add_header("User-Agent", f"imageclassifier-gateway/{__version__}")
    request.add_header("Accept-Encoding", "identity")
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    _add_headers(request, remote)
    try:
        return _director(remote).open(request, timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        with error:
            if error.code in _TEMPORARY or error.code >= 500 or error.code == 416:
                raise
            explain = remote.refusal or _refusal
            raise DownloadRefusedError(explain(remote.shown, error)) from None
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadRefusedError(
                f"The certificate of the server of {remote.shown} cannot be verified: "
                f"{error.reason.verify_message.rstrip('.')}. If a private CA has signed it, set "
                f"{remote.field}.caBundle."
            ) from None
        raise


def content(remote: Remote, offset: int, server: str) -> Iterator[bytes]:
    """The content of a file from byte `offset` on. `server` is what its messages call the server.

    Raises DownloadRefusedError if a retry would not help, OSError otherwise.
    """
    try:
        with open_url(remote, offset) as response:
            if response.status != 206:
                skip(response, offset)
            while chunk := response.read(_CHUNK_BYTES):
                yield chunk
    except HTTPError as error:
        raise ConnectionError(f"{server} responds with {error.code} {error.reason}") from None
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from None


def _director(remote: Remote) -> urllib.request.OpenerDirector:
    director = urllib.request.OpenerDirector()
    handlers = (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=_context(remote)),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _SafeRedirects(remote),
    )
    for handler in handlers:
        director.add_handler(handler)
    if remote.url.startswith("http://"):  # only a URL for which the CRD allows that
        director.add_handler(urllib.request.HTTPHandler())
    return director


def _context(remote: Remote) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if remote.ca_file is not None:
        try:
            context.load_verify_locations(remote.ca_file)
        except (ssl.SSLError, OSError):
            raise DownloadRefusedError(
                f"The key of {remote.field}.caBundle does not exist or contains no certificate in PEM form. "
                "Correct it."
            ) from None
    return context


def _add_headers(request: urllib.request.Request, remote: Remote) -> None:
    for name, value in remote.headers.items():
        request.add_unredirected_header(name, value)


def _refusal(shown: str, error: HTTPError) -> str:
    said = words(body_of(error))
    what = f"{shown} responds with {error.code} {error.reason}{f': {said}' if said else ''}."
    if error.code in (401, 403, 407):
        return (
            f"{what} Check that the URL has not expired, and that {_FIELD}.headersFrom has the credentials."
        )
    if error.code in (404, 410):
        return f"{what} Upload the archive, or correct {_FIELD}.url and spec.model.version."
    return f"{what} Correct {_FIELD}.url."


def body_of(error: HTTPError) -> str:
    """The begin of the body of an error, in which object stores explain their refusal; empty without one."""
    try:
        return error.read(4096).decode("utf-8", "replace")
    except OSError:
        return ""


def words(text: str) -> str:
    """The server's own words in the body of an error, without markup."""
    text = " ".join(re.sub(r"<[^>]*>|[^\x20-\x7e]", " ", text).split())
    return text[:160].rstrip(". ")


def skip(response: Any, count: int) -> None:
    """Read what is there already, from a server that knows no ranges."""
    while count > 0 and (chunk := response.read(min(count, _CHUNK_BYTES))):
        count -= len(chunk)
