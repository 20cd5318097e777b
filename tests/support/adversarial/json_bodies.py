"""JSON documents, and base64 in them."""

from __future__ import annotations

import base64
import json

from .registry import body, repeat

_JSON = "application/json"


@body("json-nested", _JSON)
def json_nested(size: int) -> bytes:
    """Below any limit on the number of values, where the size allows it."""
    depth = min(size // 2, 60_000)
    return b'{"image": ' + b"[" * depth + b"]" * depth + b" " * (size - 2 * depth) + b"}"


@body("json-many-values", _JSON)
def json_many_values(size: int) -> bytes:
    return b'{"urls": [' + repeat(b"[],", size) + b"0]}"


@body("json-many-keys", _JSON)
def json_many_keys(size: int) -> bytes:
    pairs = (b'"%06x":0,' % number for number in range(max(1, size // 11)))
    return b"{" + b"".join(pairs) + b'"image":""}'


@body("json-same-key", _JSON)
def json_same_key(size: int) -> bytes:
    return b"{" + repeat(b'"image":"AAAA",', size) + b'"image":"AAAA"}'


@body("json-long-integer", _JSON)
def json_long_integer(size: int) -> bytes:
    return b'{"image": ' + b"7" * size + b"}"


@body("json-long-fraction", _JSON)
def json_long_fraction(size: int) -> bytes:
    return b'{"image": 0.' + b"7" * size + b"}"


@body("json-integers", _JSON)
def json_integers(size: int) -> bytes:
    """Each as long as Python converts: the conversion takes time with the square of the digits."""
    return b'{"image": [' + repeat(b"7" * 4300 + b",", size) + b"0]}"


@body("json-escapes", _JSON)
def json_escapes(size: int) -> bytes:
    return b'{"image": "' + repeat(rb"\n", size) + b'"}'


@body("json-unicode-escapes", _JSON)
def json_unicode_escapes(size: int) -> bytes:
    return b'{"image": "' + repeat(rb"\u0041", size) + b'"}'


@body("json-white-space", _JSON)
def json_white_space(size: int) -> bytes:
    return b'{"image": ' + repeat(b" \t\r\n", size) + b'"AAAA"}'


@body("json-unclosed-string", _JSON)
def json_unclosed_string(size: int) -> bytes:
    return b'{"image": "' + b"A" * size


@body("json-long-urls", _JSON)
def json_long_urls(size: int) -> bytes:
    """International names, which take long to bring into their ASCII form."""
    host = "\u00fc" * 900 + ".example"
    return json.dumps({"urls": [f"http://{host}/{n}" for n in range(max(1, size // 5500))]}).encode()


@body("base64-line-breaks", _JSON)
def base64_line_breaks(size: int) -> bytes:
    return b'{"image": "' + repeat(rb"A\n", size) + b'"}'


@body("base64-junk", _JSON)
def base64_junk(size: int) -> bytes:
    return b'{"image": "' + repeat(b"A=", size) + b'"}'


@body("base64-data-url", _JSON)
def base64_data_url(size: int) -> bytes:
    return b'{"image": "data:' + repeat(b";base64", size) + b'"}'


@body("base64-large-picture", _JSON)
def base64_large_picture(size: int) -> bytes:
    return json.dumps({"image": base64.b64encode(bytes(size * 3 // 4)).decode()}).encode()
