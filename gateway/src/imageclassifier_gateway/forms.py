"""The files of a multipart form (RFC 7578) that is in memory as a whole. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

from werkzeug.exceptions import HTTPException
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder

from .payload import Payload, Picture, check_count
from .problems import Problem

_MAX_HEAD_BYTES = 16 * 1024
_BLANK_LINE = re.compile(rb"(?:\r\n\r\n|\r\r|\n\n)")
_BY_ITSELF = "Let the HTTP client write the Content-Type header by itself: it knows the boundary."


def read_form(body: bytes, boundary: str | None, max_pictures: int) -> Payload:
    """The form's files, in their order; its fields are passed over, at most one for each picture allowed.

    Not by way of Flask's `request.files`, which takes a form that it cannot parse for an empty one. Raises
    Problem when there is no file, when there are too many, or when the body is not such a form.
    """
    if not boundary:
        raise Problem("bad-request", f"The form's Content-Type names no boundary. {_BY_ITSELF}")
    pictures: list[Picture] = []
    for count, (part, data) in enumerate(_parts(body, boundary), 1):
        if isinstance(part, File):
            pictures.append(Picture(data, part.filename or None))
        if count > 2 * max_pictures:  # many tiny ones would keep a thread busy for long
            raise Problem(
                "too-large",
                f"The form has more than {2 * max_pictures} parts; send at most {max_pictures} at once.",
            )
    if not pictures:
        raise Problem("bad-request", "The form holds no file. Add one with a file name.")
    check_count(len(pictures), max_pictures)
    return Payload(pictures, many=len(pictures) > 1)


def _parts(body: bytes, boundary: str) -> Iterator[tuple[File | Field, bytes]]:
    part: File | Field | None = None
    data = b""
    for event in _events(body, boundary):
        if isinstance(event, File | Field):
            part, data = event, b""
        elif isinstance(event, Data) and part is not None:
            data = data + event.data if data else event.data
            if not event.more_data:
                yield part, data


def _check_headers(body: bytes, delimiter: bytes) -> None:
    """Raises Problem when the head of a part is long: the decoder makes many objects of each line of it."""
    at = body.find(delimiter)
    while at >= 0:
        at += len(delimiter)
        if body[at : at + 2] != b"--" and not _BLANK_LINE.search(body, at, at + _MAX_HEAD_BYTES):
            if len(body) - at > _MAX_HEAD_BYTES:
                raise Problem(
                    "bad-request", f"The headers of a part of the form exceed {_MAX_HEAD_BYTES:,} bytes."
                )
            return  # cut off: the decoder says so
        at = body.find(delimiter, at)


def _events(body: bytes, boundary: str) -> Iterator[Event]:
    delimiter = boundary.encode("ascii", "replace")
    _check_headers(body, b"--" + delimiter)
    # No limit of the decoder's own: the body is in memory and its size was checked.
    decoder = MultipartDecoder(delimiter)
    decoder.receive_data(body)
    decoder.receive_data(None)
    while True:
        try:
            event = decoder.next_event()
        except UnicodeDecodeError:
            raise Problem(
                "bad-request", "The name of a file or a field in the form is not UTF-8. Send it in UTF-8."
            ) from None
        except (ValueError, HTTPException):
            if b"--" + delimiter not in body:
                raise Problem(
                    "bad-request",
                    f"The boundary that its Content-Type names is not in the form. {_BY_ITSELF}",
                ) from None
            raise Problem(
                "bad-request",
                "The form is cut off or malformed: each part needs a Content-Disposition header, and the "
                "last one a closing boundary.",
            ) from None
        if isinstance(event, Epilogue):
            return
        yield event
