"""The errors of fetches that do not depend on the step in which they happen."""

from __future__ import annotations

from .sites import site_of
from .urls import FetchError


def failed(sentence: str) -> FetchError:
    """The error of a fetch that ended without a picture."""
    return FetchError("url-not-fetched", "failed", sentence)


def late(host: str) -> FetchError:
    """The error of a fetch that reached its deadline."""
    return FetchError("url-not-fetched", "timeout", f"{host} did not send the whole picture in time.")


def busy(host: str) -> FetchError:
    """The error of a fetch from a site that has no place left."""
    return FetchError(
        "overloaded", "busy", f"The gateway already fetches many pictures from {site_of(host)}. Retry soon."
    )


def too_large(max_bytes: int) -> FetchError:
    """The error of a body that is larger than `max_bytes`."""
    sentence = f"The picture behind the URL is larger than {max_bytes:,} bytes."
    return FetchError("too-large", "too-large", sentence)
