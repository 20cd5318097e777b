"""The pictures or URLs in a prediction request, parsed from any of the accepted formats. No I/O."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..pixels.pieces import Pause, no_pause
from ..problems import Problem

#: Enough for 32 presigned URLs with 2,000 commas each. Base64 has no commas or brackets.
_MAX_JSON_VALUES = 70_000
#: In longer bodies, all text must be ASCII. Python takes two or four bytes for each character of a text that
#: has one character beyond Latin-1.
_LONG_JSON_BYTES = 1024 * 1024
_WIDE_ESCAPE = re.compile(rb"\\u(?!00)")
#: Base64 is decoded in pieces of this many characters. Between two pieces, other threads can take Python's
#: lock, and the caller can pause, so that a large picture does not delay others.
_BASE64_STEP = 64 * 1024
_WHITE_SPACE = b" \t\r\n\f\v"
#: Turns the URL-safe alphabet (RFC 4648, section 5) into the usual one.
_USUAL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_DATA_URL = re.compile(r"\s*data:[^,;]*(;[^,;]*)*?;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """A picture in the request. `name` is the file name, if there is one."""

    data: bytes
    name: str | None = None


@dataclass(frozen=True)
class Reference:
    """The URL of a picture."""

    url: str

    @property
    def name(self) -> str:
        """The URL, as the name of the picture in the response."""
        return self.url


@dataclass(frozen=True)
class Payload:
    """The pictures of one request. If `many` is true, the response is a list, even for one picture."""

    sources: Sequence[Picture | Reference]
    many: bool = False


def read_json(body: bytes, max_pictures: int, pause: Pause = no_pause) -> Payload:
    """Parse `{"url"}`, `{"urls"}` or `{"image"}`. Raises Problem for any other body.

    `pause` is called between two pieces of a long picture.
    """
    document = parse_json_object(body)
    given = [name for name in ("url", "urls", "image") if name in document]
    unknown = sorted(set(document) - {"url", "urls", "image"})
    if len(given) != 1 or unknown:
        several = "several of them" if given else "none of them"
        what = f"the unknown key {unknown[0]!r:.60}" if unknown else several
        raise Problem(
            "bad-request", f"Send exactly one of 'url', 'urls' and 'image'; the request has {what}."
        )
    value = document[given[0]]
    if given[0] == "image":
        return Payload([Picture(decode_base64(_string(value, "image"), "image", pause))])
    if given[0] == "url":
        return Payload([read_url(_string(value, "url"), "url", pause)])
    if not isinstance(value, list) or not value:
        raise Problem("bad-request", "'urls' must be a list of at least one URL.")
    check_count(len(value), max_pictures)
    named = ((url, f"urls[{index}]") for index, url in enumerate(value))
    return Payload([read_url(_string(url, where), where, pause) for url, where in named], many=True)


def read_url(url: str, where: str, pause: Pause = no_pause) -> Picture | Reference:
    """A URL to fetch, or the picture in a data URL. Raises Problem for a data URL that is invalid."""
    return Picture(decode_base64(url, where, pause)) if _is_data_url(url) else Reference(url)


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Parse a body that must be a JSON object. Raises Problem if it is not.

    A body that would take many times its size in memory is refused before it is parsed.
    """
    if sum(body.count(each) for each in b"[{,") > _MAX_JSON_VALUES:
        raise Problem(
            "bad-request",
            f"The JSON body has more than {_MAX_JSON_VALUES:,} values. If they are the pixels of a picture, "
            "send the picture file in base64 instead: the gateway decodes and resizes it.",
        )
    if len(body) > _LONG_JSON_BYTES and (not body.isascii() or _WIDE_ESCAPE.search(body)):
        raise Problem(
            "bad-request",
            f"A JSON body of more than {_LONG_JSON_BYTES:,} bytes must be all ASCII, as base64 is.",
        )
    try:
        # The gateway reads no numbers. Python needs time with the square of the digits to convert an integer.
        document = json.loads(body, parse_int=float)
    except (ValueError, RecursionError):
        raise Problem("bad-request", "The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise Problem("bad-request", "The body must be a JSON object.")
    return document


def decode_base64(text: str, where: str, pause: Pause = no_pause) -> bytes:
    """Decode plain base64 or a data URL, in the usual or the URL-safe alphabet, with or without padding.

    Raises Problem if the text is none of them.
    """
    if _is_data_url(text):
        prefix = _DATA_URL.match(text[:256])
        if prefix is None:
            raise Problem(
                "bad-request", f"'{where}' is a data URL without base64. Encode the picture in base64."
            )
        text = text[prefix.end() :]
        if "%" in text:  # RFC 2397 lets a data URL escape any character
            text = unquote(text)
    try:
        return _decode_in_pieces(text.encode("ascii"), pause)
    except (binascii.Error, ValueError):
        raise Problem("bad-request", f"'{where}' is not valid base64.{_hint(text)}") from None


def _is_data_url(text: str) -> bool:
    return text[:64].lstrip()[:5].lower() == "data:"


def _hint(text: str) -> str:
    """What the client should send instead of this text, which is not base64."""
    start = text[:64].lstrip()
    if start[:2] in ("b'", 'b"'):
        return (
            " It is Python's notation for bytes. Send the text that base64.b64encode(data).decode() returns."
        )
    if start[:8].lower().startswith(("http://", "https://")):
        return """ It is a URL. Send it as {"url": "..."}."""
    if start[:1] in ("/", "~") or start[1:3] in (":\\", ":/"):
        return " It looks like the path of a file. Send the content of the file."
    return ""


def _decode_in_pieces(data: bytes, pause: Pause) -> bytes:
    """Decode base64. Raises ValueError.

    Many encoders insert line breaks, so white space is ignored. So is padding, because the length of the text
    says the same.
    """
    decoded, rest = io.BytesIO(), b""
    end = len(data.rstrip(b"=" + _WHITE_SPACE))
    for at in range(0, end, _BASE64_STEP):
        if at:
            pause()
        piece = rest + data[at : min(at + _BASE64_STEP, end)].translate(_USUAL_ALPHABET, _WHITE_SPACE)
        if b"=" in piece:
            raise ValueError
        whole = len(piece) - len(piece) % 4
        decoded.write(base64.b64decode(piece[:whole], validate=True))
        rest = piece[whole:]
    decoded.write(base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True))
    return decoded.getvalue()


def check_count(count: int, max_pictures: int) -> None:
    """Raise Problem if a request has too many pictures."""
    if count > max_pictures:
        raise Problem("too-large", f"The request has {count} pictures; send at most {max_pictures} at once.")


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise Problem("bad-request", f"'{where}' must be a non-empty string.")
    return value
