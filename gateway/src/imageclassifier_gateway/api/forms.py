"""Finds the files in a multipart form (RFC 7578) that is completely in memory. No I/O.

Flask's `request.files` treats an invalid form as an empty one. Werkzeug's MultipartDecoder copies a whole
body twice. If it gets the body in chunks, and a chunk ends one byte after a delimiter, it appends a byte to
the file before the delimiter (Werkzeug 3.1.9). This module finds all parts with one search over the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.http import parse_options_header

from ..problems import Problem
from .payload import Payload, Picture, check_count

#: The limit for text before the first delimiter, and for the headers of one part. Clients send no such text,
#: and about 100 bytes of headers. Werkzeug takes 0.8 us for each byte of a header with many parameters.
_MAX_HEAD_BYTES = 4 * 1024
#: The limit for the headers of all parts together: for 64 parts, 500 bytes each.
_MAX_HEADS_BYTES = 32 * 1024
#: The search for delimiters works on pieces of this size. Between two pieces, other threads can take Python's
#: lock, so that a large form does not delay them.
_SEARCH_STEP = 64 * 1024
#: The limit for white space between a delimiter and the end of its line. RFC 2046 allows any; clients send
#: none.
_MAX_PADDING = 256
_BLANK_LINE = re.compile(rb"\r\n\r\n|\r\r|\n\n")
#: A line that begins with white space continues the previous header (RFC 822).
_CONTINUATION = re.compile(rb"(?:\r\n|\n|\r)[ \t]")
_LET_THE_CLIENT = "Let the HTTP client set the Content-Type header: it knows the boundary."


@dataclass(frozen=True)
class _Part:
    """A part: its file name (None if it is a field), and the offsets of its content."""

    filename: str | None
    start: int
    end: int


def read_form(body: bytes, boundary: str | None, max_pictures: int) -> Payload:
    """The files of the form, in their order. Other fields are ignored, up to `max_pictures` of them.

    Only the files are copied. Raises Problem if the form has no file or too many parts, or if it is
    malformed.
    """
    if not boundary:
        raise Problem("bad-request", f"The Content-Type of the form has no boundary. {_LET_THE_CLIENT}")
    pictures: list[Picture] = []
    for count, part in enumerate(_parts(body, boundary), 1):
        if count > 2 * max_pictures:
            raise Problem(
                "too-large",
                f"The form has more than {2 * max_pictures} parts; send at most {max_pictures} at once.",
            )
        if part.filename is not None:
            check_count(len(pictures) + 1, max_pictures)
            pictures.append(Picture(body[part.start : part.end], part.filename or None))
    if not pictures:
        raise Problem("bad-request", "The form has no file. Add a part with a file name.")
    return Payload(pictures, many=len(pictures) > 1)


def _parts(body: bytes, boundary: str) -> Iterator[_Part]:
    dashes = b"--" + re.escape(boundary.encode("ascii", "replace"))
    # The end of a delimiter's line, or of the form. Some clients send other text before the first delimiter.
    line_end = rb"(?:(--)|[^\S\r\n]{0,%d}(?:\r\n|\n|\r))" % _MAX_PADDING
    delimiter = re.compile(dashes + line_end).search(body, 0, _MAX_HEAD_BYTES)
    # A delimiter must begin a line. The literal stands before this check, because that makes the search fast.
    next_delimiter = re.compile(dashes + rb"(?<=[\r\n]" + dashes + rb")" + line_end)
    heads_bytes = 0
    while delimiter is not None and delimiter[1] is None:
        filename, start = _head(body, delimiter.end())
        heads_bytes += start - delimiter.end()
        if heads_bytes > _MAX_HEADS_BYTES:
            raise Problem(
                "bad-request",
                f"The headers of all parts of the form exceed {_MAX_HEADS_BYTES:,} bytes. Send shorter file "
                "names, or fewer fields.",
            )
        delimiter = _search(next_delimiter, body, start, len(dashes) + _MAX_PADDING + 2)
        if delimiter is not None:
            line_break = 2 if body[delimiter.start() - 2 : delimiter.start()] == b"\r\n" else 1
            yield _Part(filename, start, max(start, delimiter.start() - line_break))
    if delimiter is None:
        raise _malformed(body, boundary)


def _search(pattern: re.Pattern[bytes], body: bytes, start: int, longest: int) -> re.Match[bytes] | None:
    """The first match after `start`, of a pattern whose matches have at most `longest` bytes."""
    for at in range(start, len(body), _SEARCH_STEP):
        found = pattern.search(body, at, at + _SEARCH_STEP + longest)
        if found and found.start() < at + _SEARCH_STEP:  # else the end of the piece may cut it off
            return found
    return None


def _head(body: bytes, start: int) -> tuple[str | None, int]:
    """The file name that a part's headers give, and the offset of the part's content."""
    blank_line = _BLANK_LINE.search(body, start, start + _MAX_HEAD_BYTES)
    if blank_line is None:
        if len(body) - start > _MAX_HEAD_BYTES:
            raise Problem(
                "bad-request",
                f"The headers of a part of the form exceed {_MAX_HEAD_BYTES:,} bytes. Send shorter file "
                "names.",
            )
        raise _cut_off()
    for line in _CONTINUATION.sub(b" ", body[start : blank_line.start()]).splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            try:
                _, parameters = parse_options_header(value.decode().strip())
            except UnicodeDecodeError:
                raise Problem(
                    "bad-request",
                    "The name of a file or a field in the form is not UTF-8. Send it in UTF-8.",
                ) from None
            return parameters.get("filename"), blank_line.end()
    raise _cut_off()


def _malformed(body: bytes, boundary: str) -> Problem:
    if b"--" + boundary.encode("ascii", "replace") not in body:
        return Problem(
            "bad-request", f"The form does not contain the boundary of its Content-Type. {_LET_THE_CLIENT}"
        )
    return _cut_off()


def _cut_off() -> Problem:
    return Problem(
        "bad-request",
        "The form is cut off or malformed: each part needs a Content-Disposition header, and the last one a "
        "closing boundary.",
    )
