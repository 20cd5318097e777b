"""`predict`: sends pictures to the gateway through the API server, so that no port has to be open."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..cluster.api import Json
from ..cluster.classifiers import Classifiers
from ..cluster.gateway import Gateway, Prediction
from ..errors import ClientError
from ..output import console
from . import _arguments as arguments

_EXAMPLES = """\
  kubectl imageclassifier predict pizza dinner.jpg lunch.heic
  kubectl imageclassifier predict pizza https://example.org/lunch.jpg
  kubectl imageclassifier predict pizza - <dinner.jpg -o json
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(subparsers, "predict", run, "classify pictures", _EXAMPLES)
    arguments.add_name(command)
    command.add_argument(
        "pictures",
        nargs="+",
        metavar="PICTURE",
        help="picture file, URL of a picture, or - for the standard input",
    )
    arguments.add_output(command)
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Print a prediction for each picture. Fails at the end if one could not be classified."""
    terminal, complaints = console.results(), console.errors()
    failed = 0
    with arguments.classifiers(options) as found:
        for picture, prediction in _predictions(options, found):
            if prediction.error:
                failed += 1
                complaints.print(f"error: {picture}: {prediction.error}", markup=False)
            elif options.output == "json":
                print(json.dumps({"picture": picture, **prediction.document}, ensure_ascii=False))
            else:
                terminal.print(f"{picture}: {_text(prediction.document)}", markup=False, soft_wrap=True)
    if failed:
        raise ClientError(f"{failed} of {len(options.pictures)} pictures could not be classified.")


def _predictions(options: argparse.Namespace, found: Classifiers) -> Iterator[tuple[str, Prediction]]:
    found.read(options.name)  # its errors say more than those of its Service
    gateway = Gateway(found, options.name, os.environ.get("IMAGECLASSIFIER_API_KEY", ""))
    for picture in options.pictures:
        if picture.startswith(("http://", "https://")):
            yield picture, gateway.predict_url(picture)
        else:
            yield picture, _predict_file(gateway, picture)


def _predict_file(gateway: Gateway, picture: str) -> Prediction:
    try:
        data = sys.stdin.buffer.read() if picture == "-" else Path(picture).read_bytes()
    except OSError as error:
        return Prediction(error=f"The file cannot be read: {error.strerror}.")
    return gateway.predict(data)


def _text(document: Json) -> str:
    """The message, the label with its probability, and the version."""
    known = (document.get("familiarity") or {}).get("familiar", True)
    label = document.get("label") or ("unsure" if known else "unfamiliar")
    model = document.get("model") or {}
    return (
        f"{document.get('prediction')} ({label} {document.get('probability', 0):.3f}, version "
        f"{model.get('version', '?')})"
    )
