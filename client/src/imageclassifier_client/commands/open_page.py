"""`open`: forwards a local port to the gateway, and shows its page in the browser."""

from __future__ import annotations

import argparse
import webbrowser
from typing import Any

from ..cluster.gateway import Gateway, service_name
from ..errors import ClientError
from ..output import console
from . import _arguments as arguments

_EXAMPLES = """\
  kubectl imageclassifier open pizza
  kubectl imageclassifier open pizza --port 8080 --no-browser
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "open", run, "forward a local port to the gateway, and open its page", _EXAMPLES
    )
    arguments.add_name(command)
    command.add_argument("--port", type=_port, metavar="N", help="local port (default: a free one)")
    command.add_argument("--no-browser", action="store_true", help="print the URL only")
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Forward the port until the user interrupts it."""
    with arguments.classifiers(options) as found:
        found.read(options.name)
        port, namespace = Gateway(found, options.name).port, found.namespace
    target = f"service/{service_name(options.name)}"
    with arguments.kubectl_of(options).forward(namespace, target, f"{options.port or ''}:{port}") as forward:
        url = f"{port}://127.0.0.1:{forward.port}/"
        print(f"{options.name} answers at {url} until you press Ctrl-C.", flush=True)
        if not options.no_browser and not webbrowser.open(url):
            console.errors().print("There is no browser here. Open the URL yourself.", markup=False)
        forward.wait()
    raise ClientError(f"The connection to {target} has ended. Run the command again.")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"'{text}' must be a port from 1 to 65535")
    return int(text)
