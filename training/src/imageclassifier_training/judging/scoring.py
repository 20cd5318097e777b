"""Scores images without labels, with an exported model or with a gateway: both predict the same."""

from __future__ import annotations

import json
import os
import string
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import Decision
from imageclassifier_gateway.pixels.images import Limits, PictureError, prepare

from ..errors import DataError, TrainingError
from ..files import shown
from ..pictures.listing import files_below

if TYPE_CHECKING:  # TensorFlow takes seconds to import, and a gateway needs none of it
    from ..exporting.saved_model import ServedModel

_CHUNK = 64
#: Requests to a gateway that are under way at the same time.
_REQUESTS = 8
_TIMEOUT_SECONDS = 60
_LIMITS = Limits()


@dataclass(frozen=True)
class Scored:
    """An image, the decision about it, or the sentence that says why there is none."""

    image: str
    decision: Decision | None
    error: str = ""


def images(sources: Iterable[str]) -> Iterator[str]:
    """Yield the images of files, of folders (on every level, without litter) and of URLs.

    Raises DataError when a source does not exist or a folder cannot be read.
    """
    for source in sources:
        if _is_url(source) or Path(source).is_file():
            yield source
        elif Path(source).is_dir():
            files, problems, _ = files_below(Path(source))
            if problems:
                raise DataError(problems)
            yield from map(str, files)
        else:
            raise DataError([f"{shown(source)}: no such file or folder."])


def name_of(model: ServedModel) -> str:
    """The name of a model and the start of its digest, as tables of scores have it."""
    return f"{model.contract.name} {model.contract.digest[:19]}"


def with_model(model: ServedModel, wanted: Iterable[str]) -> Iterator[Scored]:
    """Score images with a model in this process, in the order given."""

    def prepared(image: str) -> NDArray[np.uint8] | str:
        try:
            return prepare(read(image), model.contract.input, _LIMITS)
        except (PictureError, OSError, ValueError) as error:
            return _sentence(error)

    with ThreadPoolExecutor() as threads:
        for chunk in _chunks(wanted, _CHUNK):
            pixels = list(threads.map(prepared, chunk))
            arrays = [each for each in pixels if not isinstance(each, str)]
            decisions = iter(model.decisions(np.stack(arrays)) if arrays else [])
            for image, each in zip(chunk, pixels, strict=True):
                if isinstance(each, str):
                    yield Scored(image, None, each)
                else:
                    yield Scored(image, next(decisions))


def check_gateway(url: str) -> None:
    """Raise TrainingError if this is not the URL of a gateway."""
    if _is_url(url):
        return
    if "://" in url:
        raise TrainingError(f"The gateway {url} is not an HTTP URL. Give one, such as http://localhost:8080.")
    # Not guessed: without TLS, the API key could be read on the way.
    raise TrainingError(
        f"The gateway {url} has no scheme. Give its URL: http://{url}, or https://{url} if it serves TLS."
    )


def with_gateway(url: str, wanted: Iterable[str]) -> Iterator[Scored]:
    """Score images with a gateway at this URL (`http://host:port`), in the order given.

    The environment variable IMAGECLASSIFIER_API_KEY is sent as the API key.
    """
    ask = _asker(f"{url.rstrip('/').removesuffix('/predict')}/predict")
    with ThreadPoolExecutor(_REQUESTS) as threads:
        for chunk in _chunks(wanted, _CHUNK):
            yield from threads.map(ask, chunk)


def _asker(endpoint: str) -> Callable[[str], Scored]:
    headers = {"Content-Type": "application/octet-stream"}
    if key := os.environ.get("IMAGECLASSIFIER_API_KEY"):
        headers["X-API-Key"] = key

    def ask(image: str) -> Scored:
        try:
            body = read(image)
        except (OSError, ValueError) as error:
            return Scored(image, None, _sentence(error))
        try:
            request = urllib.request.Request(endpoint, data=body, headers=headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                return Scored(image, _decision(json.load(response)))
        except urllib.error.HTTPError as error:
            return Scored(image, None, _problem(error))
        except OSError as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            return Scored(image, None, f"the gateway cannot be reached at {endpoint} ({reason}).")
        except (HTTPException, ValueError, KeyError, TypeError):
            return Scored(image, None, f"{endpoint} returned no prediction. Check the URL of --gateway.")

    return ask


def _decision(answer: Any) -> Decision:
    """The decision in a gateway's response. Raises KeyError or TypeError if it is none."""
    probabilities, probability = answer["probabilities"], answer["probability"]
    # An unsure prediction, or one of an unfamiliar picture, has no label, but its class's probability.
    # With a threshold, that is not always the highest one.
    label = answer["label"] or min(probabilities, key=lambda name: abs(probabilities[name] - probability))
    return Decision(label, answer["prediction"], probability, probabilities)


def _problem(error: urllib.error.HTTPError) -> str:
    """The detail of a problem document, or the status."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{error.url} answered {error.code} {error.reason}."


def read(image: str) -> bytes:
    """Read a file or fetch a URL. Of a URL it reads at most one byte more than a picture may have."""
    if not _is_url(image):
        return Path(image).read_bytes()
    # Browsers encode spaces and letters beyond ASCII too, and http.client refuses them.
    url = urllib.parse.quote(image, safe=string.punctuation, errors="surrogateescape")
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "imageclassifier-training"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            # One byte more than allowed is enough for the error that says that the picture is too large.
            return bytes(response.read(_LIMITS.max_bytes + 1))
    except HTTPException as error:  # urllib turns only errors of the operating system into its own
        raise urllib.error.URLError(str(error) or type(error).__name__) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError):
        return f"the URL cannot be fetched ({error.reason})."
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})."
    return str(error)


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _chunks(items: Iterable[str], size: int) -> Iterator[Sequence[str]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
