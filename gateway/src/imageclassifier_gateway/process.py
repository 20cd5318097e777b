"""The gateway as a process: its parts in the order of their start, and one end for all of them.

There is one process and no parent that starts another one: when it dies its container dies, and Kubernetes
shows and counts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import NoReturn

from .config import Settings
from .http.access_log import configure_logging
from .http.log_writer import LOG
from .http.server import HttpServer, bind
from .tracing import TracingError, tracer_of

#: How long the last log lines may take.
_LOG_SECONDS = 1.0
#: How long a thread may keep Python's lock when others want it. A request takes the lock several times. With
#: Python's default of 5 ms, it may wait that long each time while another thread parses a costly body.
_SWITCH_SECONDS = 0.001


def run(settings: Settings) -> NoReturn:
    """Runs until SIGTERM or SIGINT and exits with 0; with 1 when the gateway cannot start or go on."""
    # Python's modules are loaded before, and gRPC after, what can fail at once.
    try:
        listener = bind(settings.port)
    except OSError as error:
        print(
            f"Port {settings.port} cannot be opened: {error}. End what uses it, or set GATEWAY_PORT.",
            file=sys.stderr,
        )
        sys.exit(1)
    from .api.app import create_app, wants_body
    from .api.early_refusals import early_refusals
    from .gateway import build_gateway
    from .http.internal_answers import InternalAnswers
    from .http.internal_server import InternalServer

    try:
        tracer = tracer_of(os.environ, "imageclassifier-gateway")
    except TracingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    configure_logging()
    sys.setswitchinterval(_SWITCH_SECONDS)
    status = 0
    try:
        gateway = build_gateway(settings, tracer)
        LOG.start(gateway.stats.dropped_log_lines.inc)
        InternalServer(InternalAnswers(gateway), settings.internal_port).start()
        app = create_app(gateway)
        gateway.start()
        asyncio.run(HttpServer(gateway, app, wants_body(app), early_refusals(gateway)).serve(listener))
    except BaseException:
        logging.getLogger(__name__).exception("The gateway ends because a part of it failed.")
        status = 1
    tracer.close()
    LOG.close(_LOG_SECONDS)
    # Not by returning: that would wait for request threads, whose clients have gone.
    os._exit(status)
