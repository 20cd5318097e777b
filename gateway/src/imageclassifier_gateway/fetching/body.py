"""Reads the body of a response: checks it, limits it, and decompresses it."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator

from ..limits.deadline import Deadline
from ..limits.pauses import Pauses
from .decompression import MAGIC, DamagedBody, Gunzip
from .failures import failed, too_large
from .responses import coding_problem, is_gzip, status_problem, type_problem
from .urls import Target

_CHUNK_BYTES = 64 * 1024
#: A fetch pauses between the chunks of a longer body.
_FREE_BODY_BYTES = 1_000_000


def read_body(
    target: Target,
    response: http.client.HTTPResponse,
    deadline: Deadline,
    hold: Callable[[int], None],
    max_bytes: int,
) -> bytes:
    """The bytes of the picture. Raises FetchError, and TimeoutError at the deadline.

    `hold` is called with the number of bytes before they are kept.
    """
    refusal = status_problem(target.host, response.status) or coding_problem(
        target.host, response.getheader("Content-Encoding", "")
    )
    if refusal is not None:
        raise failed(refusal)
    media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if response.length is not None and response.length > max_bytes:
        raise too_large(max_bytes)
    # Its value is handed over without a copy: no more is in memory than `hold` knows of.
    body, pause = io.BytesIO(), Pauses()
    for chunk in _decoded(target, response, max_bytes):
        if chunk and not body.tell() and (refusal := type_problem(media_type, chunk)):
            raise failed(refusal)
        if body.tell() + len(chunk) > max_bytes:
            raise too_large(max_bytes)
        hold(len(chunk))
        body.write(chunk)
        if body.tell() > _FREE_BODY_BYTES:
            pause()  # without giving the turn away: all fetches together take a third of a core
        if deadline.remaining_seconds() <= 0:
            raise TimeoutError
    if response.length:
        raise failed(f"{target.host} sent fewer bytes than its Content-Length.")
    return body.getvalue()


def _decoded(target: Target, response: http.client.HTTPResponse, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces, decompressed if it is gzip. A picture that only claims to be gzip stays as it is.

    Each read yields a piece, which may be empty, so that the caller can check the deadline.
    """
    is_compressed = is_gzip(response.getheader("Content-Encoding", ""))
    gunzip = Gunzip(_CHUNK_BYTES, max_bytes) if is_compressed else None
    is_empty = True
    try:
        while chunk := response.read(_CHUNK_BYTES):
            if is_empty and not chunk.startswith(MAGIC):
                gunzip = None
            is_empty = False
            if gunzip is None:
                yield chunk
                continue
            yield from gunzip.pieces(chunk)
            if gunzip.is_complete:
                return
            yield b""
    except DamagedBody as error:
        raise failed(f"{target.host} {error}. Store the picture again.") from None
    if gunzip is not None and not is_empty:
        raise failed(f"{target.host} sent gzip data that is truncated. Store the picture again.")
