"""Repeats what fails for now, with longer and longer pauses, before Kubernetes repeats the container."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.error import HTTPError, URLError

from .refusal import NO_SPACE, DownloadFailedError, no_space

_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1.0
_Result = TypeVar("_Result")


def retried(shown: str, attempt: Callable[[], _Result], received: Callable[[], int] = int) -> _Result:
    """The result of `attempt`, which is repeated after an OSError or HTTPException.

    `shown`: the name of what is downloaded. `received`: the number of bytes that are there already. Raises
    DownloadFailedError in the end.
    """
    for number in range(1, _ATTEMPTS + 1):
        try:
            return attempt()
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                raise no_space(error) from None
            if number == _ATTEMPTS:
                raise DownloadFailedError(
                    f"The download of {shown} failed {_ATTEMPTS} times, after {received():,} bytes: "
                    f"{cause(error)}. Kubernetes retries it."
                ) from None
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (number - 1))
    raise AssertionError("the last attempt returns or raises")


def cause(error: Exception) -> str:
    """What failed, in the words of the error or else by its type, without a full stop.

    >>> cause(ConnectionResetError(104, "Connection reset by peer")), cause(TimeoutError())
    ('Connection reset by peer', 'TimeoutError')
    """
    if isinstance(error, HTTPError):
        return f"the server responds with {error.code} {error.reason}"
    reason = error.reason if isinstance(error, URLError) else error
    return str(getattr(reason, "strerror", None) or str(reason) or type(error).__name__).rstrip(".")
