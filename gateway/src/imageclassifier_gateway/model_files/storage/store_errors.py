"""From the error of an object store to a message: its own words, and what to do. Pure."""

from __future__ import annotations

import re
from enum import StrEnum
from html import unescape

from ..refusal import DownloadRefusedError
from .choice import FIELD
from .store import StorageUri

_STATUS = re.compile(r"status code: (\d{3}) ([A-Za-z -]*[A-Za-z])")
_TEMPORARY = (408, 412, 425, 429)
_MAX_WORDS = 240
_SET_REGION = f"Set {FIELD}.region to the region of the bucket."
#: The code of an error in the S3 API, which Google Cloud Storage has too -> what to do.
_ADVICE = {
    "NoSuchBucket": f"Create the bucket, or correct {FIELD}.uri and {FIELD}.endpoint.",
    "NoSuchKey": f"Upload the model, or correct {FIELD}.uri and spec.model.version.",
    "PermanentRedirect": _SET_REGION,
    "AuthorizationHeaderMalformed": _SET_REGION,
    "IllegalLocationConstraintException": _SET_REGION,
    "RequestTimeTooSkewed": "Correct the clock of the node.",
}
#: Codes of wrong or expired credentials.
_WRONG_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken")


class Origin(StrEnum):
    """Where the credentials of the requests come from."""

    SECRET = "secret"  # noqa: S105 - no password
    SERVICE_ACCOUNT = "service account"
    NONE = "none"


_RIGHTS = (
    "the rights to list the bucket and to read its objects (s3:ListBucket and s3:GetObject, or the role "
    "Storage Object Viewer)"
)
_DENIED = {
    Origin.SECRET: f"Give the credentials in {FIELD}.credentialsFrom {_RIGHTS}.",
    Origin.SERVICE_ACCOUNT: f"Give the role of the pods' ServiceAccount {_RIGHTS}.",
    Origin.NONE: (
        f"The request had no credentials. Set {FIELD}.credentialsFrom, or give the pods a ServiceAccount "
        "with a role."
    ),
}
_WRONG = {
    Origin.SECRET: f"Correct the Secret in {FIELD}.credentialsFrom.",
    Origin.SERVICE_ACCOUNT: f"Correct the role of the pods' ServiceAccount, or set {FIELD}.credentialsFrom.",
    Origin.NONE: _DENIED[Origin.NONE],
}


def explanation(uri: StorageUri, text: str, origin: Origin) -> Exception:
    """The error for the text of an error of obstore: an OSError if a retry may help."""
    text = text.partition("\nDebug source")[0] if "<Code>" in text else text
    if "CaUsedAsEndEntity" in text:
        return DownloadRefusedError(
            f"The certificate of the store of {uri.text} is that of an authority itself, which no server may "
            f"have. Give the server a certificate that the authority in {FIELD}.caBundle has signed."
        )
    if "InvalidCertificate" in text:
        return DownloadRefusedError(
            f"The certificate of the store of {uri.text} cannot be verified. If a private CA has signed it, "
            f"set {FIELD}.caBundle."
        )
    if "redirect without LOCATION" in text:
        return DownloadRefusedError(f"The bucket of {uri.text} is in another region. {_SET_REGION}")
    if is_temporary(text):
        return ConnectionError(said(text))
    status, code = _status(text) or 0, _element(text, "Code")
    advice = _WRONG[origin] if code in _WRONG_CREDENTIALS else _ADVICE.get(code) or _by_status(status, origin)
    return DownloadRefusedError(f"{uri.text}: {said(text)}. {advice}")


def is_about_access(text: str) -> bool:
    """Whether the certificate, the region or the credentials are wrong, so that no file can be read."""
    causes = ("InvalidCertificate", "CaUsedAsEndEntity", "redirect without LOCATION")
    return any(cause in text for cause in causes) or _element(text, "Code") in _WRONG_CREDENTIALS


def is_temporary(text: str) -> bool:
    """Whether a retry may help after an error with this text: there was no response, or one for now."""
    status = _status(text)
    return status is None or status in _TEMPORARY or status >= 500


def said(text: str) -> str:
    """What the store responds, by the text of an error, without a full stop; else the cause of the error."""
    found = _STATUS.search(text)
    if found is None:
        return _cause(text)
    words = ": ".join(filter(None, (_element(text, "Code"), _element(text, "Message")))).rstrip(". ")
    return f"the store responds with {found[1]} {found[2]}{f': {words}' if words else ''}"


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return None if found is None else int(found[1])


def _by_status(status: int, origin: Origin) -> str:
    if status in (401, 403):
        return _DENIED[origin]
    if status == 404:
        return _ADVICE["NoSuchKey"]
    return f"Correct {FIELD}."


def _element(text: str, name: str) -> str:
    """The content of an element of the XML document in a response, as one line."""
    found = re.search(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
    content = "" if found is None else " ".join(unescape(found[1]).split())
    return "".join(character if character.isprintable() else "?" for character in content)[:_MAX_WORDS]


def _cause(text: str) -> str:
    """The innermost cause, which the debug output has last, or the first line."""
    causes = re.findall(r'(?:error|message|source|kind): "([^"]+)"', text)
    return (causes[-1] if causes else text.partition("\n")[0])[:_MAX_WORDS]
