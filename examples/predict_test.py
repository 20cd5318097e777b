#!/usr/bin/env python3
"""Classifies images with an image classifier's gateway.

    python3 predict_test.py [--gateway http://localhost:8080] PICTURE...

PICTURE is an image file, or its URL. Needs only Python. If the gateway needs an API key, put it into the
environment variable IMAGECLASSIFIER_API_KEY.
"""

import argparse
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_SCHEMES = ("http://", "https://")


class NoAnswerError(Exception):
    """The gateway returned no prediction; the message says why."""


def predict(gateway: str, picture: str, timeout_seconds: float = 30) -> dict[str, Any]:
    """Classify one image; returns `prediction` (a sentence), `label`, `probability` and `model`."""
    if not gateway.lower().startswith(_SCHEMES):
        raise NoAnswerError(f"the gateway {gateway} is not a URL: it must start with http:// or https://")
    headers = {"Accept": "application/json"}
    if key := os.environ.get("IMAGECLASSIFIER_API_KEY"):
        headers["X-API-Key"] = key
    if picture.lower().startswith(_SCHEMES):
        body = json.dumps({"url": picture}).encode()
        headers["Content-Type"] = "application/json"
    else:
        try:
            body = Path(picture).read_bytes()
        except OSError as error:
            raise NoAnswerError(f"{picture} cannot be read: {error.strerror}") from error
        if not body:
            raise NoAnswerError(f"{picture} is empty")
        headers["Content-Type"] = "application/octet-stream"
    try:
        url = f"{gateway.rstrip('/')}/predict"
        request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - see above
        with urllib.request.urlopen(request, timeout=timeout_seconds) as response:  # noqa: S310
            received = response.read()
    except urllib.error.HTTPError as error:
        raise NoAnswerError(_reason(error)) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NoAnswerError(f"the gateway {gateway} cannot be reached: {reason}") from error
    except (ValueError, http.client.HTTPException) as error:
        raise NoAnswerError(
            f"{gateway} is not the URL of a gateway, or does not speak HTTP: {error!r}"
        ) from error
    return _prediction(gateway, received)


def _prediction(gateway: str, received: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(received)
        complete = {"prediction", "label", "probability", "model"} <= answer.keys()
    except (ValueError, AttributeError):
        complete = False
    if not complete:
        raise NoAnswerError(f"what answers at {gateway} is no gateway of an image classifier")
    return answer


def _reason(error: urllib.error.HTTPError) -> str:
    """What the gateway's problem document (RFC 9457) says, or the bare status."""
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return f"HTTP status {error.code} {error.reason}"


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Classify images with an image classifier's gateway.")
    parser.add_argument(
        "--gateway", default="http://localhost:8080", help="URL of the gateway (default: %(default)s)"
    )
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="image file, or its URL")
    arguments = parser.parse_args()
    failed = 0
    for picture in arguments.pictures:
        try:
            answer = predict(arguments.gateway, picture)
        except NoAnswerError as error:
            failed += 1
            print(f"{picture}: {error}", file=sys.stderr)
        else:
            model = answer["model"]
            print(
                f"{picture}: {answer['prediction']} ({answer['label']} {answer['probability']:.1%}, "
                f"{model['name']} version {model['version']})"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
