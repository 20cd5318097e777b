"""Reads a form with the type `application/x-www-form-urlencoded`: the URL or the base64 of pictures. No I/O.

Programs send it without asking for it: `curl -d url=...`, `requests.post(..., data={"url": ...})`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from ..pixels.pieces import Pause, no_pause
from ..problems import Problem
from .payload import Payload, Picture, Reference, check_count, decode_base64, read_url

MEDIA_TYPE = "application/x-www-form-urlencoded"
#: Any program may send a picture with this type; its first bytes are never the name of a field.
_START_OF_FORM = re.compile(rb"\s*(urls?|image|file)(%5B%5D|\[\])?=", re.IGNORECASE)
_MAX_FIELDS = 256


def is_url_encoded_form(body: bytes) -> bool:
    """Whether a body with this type is such a form, and not a picture or JSON."""
    return _START_OF_FORM.match(body[:64]) is not None


def read_url_encoded_form(body: bytes, max_pictures: int, pause: Pause = no_pause) -> Payload:
    """The pictures of the fields `url` and `image`, in their order. Raises Problem for any other field.

    `pause` is called between two pieces of a long picture.
    """
    try:
        fields = parse_qsl(body.strip().decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except UnicodeDecodeError:
        raise Problem("bad-request", "The form is not valid: it must be ASCII text.") from None
    except ValueError:
        raise Problem("too-large", f"The form has more than {_MAX_FIELDS} fields.") from None
    sources = [_source(name.removesuffix("[]").lower(), value, pause) for name, value in fields]
    check_count(len(sources), max_pictures)
    return Payload(sources, many=len(sources) > 1)


def _source(name: str, value: str, pause: Pause) -> Picture | Reference:
    if name not in ("url", "urls", "image", "file"):
        raise Problem(
            "bad-request", f"The form has the field '{name[:60]}'. Send the fields 'url' or 'image', or JSON."
        )
    if not value:
        raise Problem("bad-request", f"The field '{name}' of the form is empty.")
    if name in ("url", "urls"):
        return read_url(value, name, pause)
    # A plus sign that the client did not encode arrives as a space.
    return Picture(decode_base64(value.replace(" ", "+"), name, pause))
