#!/usr/bin/env python3
"""Asks an image classifier what is in a picture.

    python3 predict_test.py [--gateway http://localhost:8080] PICTURE...

A PICTURE is a file, or the URL of one. Needs nothing but Python.
"""

import argparse
import http.client
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_SCHEMES = ("http://", "https://")


class NoAnswerError(Exception):
    """The gateway gave no prediction; the message says why."""


def predict(gateway: str, picture: str, timeout_seconds: float = 30) -> dict[str, Any]:
    """The gateway's answer for one picture: `prediction` (the sentence), `label`, `probability`, `model`."""
    if not gateway.lower().startswith(_SCHEMES):
        raise NoAnswerError(f"the gateway {gateway} is no URL: it starts with http:// or https://")
    headers = {"Accept": "application/json"}
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
        raise NoAnswerError(f"{gateway} is no URL of a gateway, or not HTTP: {error!r}") from error
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
    parser = argparse.ArgumentParser(description="Ask an image classifier what is in a picture.")
    parser.add_argument("--gateway", default="http://localhost:8080", help="default: %(default)s")
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="a file, or the URL of one")
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
