"""`python -m imageclassifier_gateway`: runs the gateway with settings from `GATEWAY_*` variables."""

from __future__ import annotations

import os
import sys
import warnings

from .command_line import parse
from .config import SettingError, read_settings
from .process import run


def main() -> None:
    """Run until SIGTERM. Exits with code 2 if an argument or a setting is invalid."""
    parse(sys.argv[1:])
    try:
        settings = read_settings(os.environ)
    except SettingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # Otherwise gRPC writes plain text to stderr for each lost connection. The gateway logs what matters.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Otherwise numpy starts a thread for each core of the machine, for linear algebra that the gateway never
    # uses.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The name server of a user's URL may never answer. By default, glibc waits 10 s for it, in a thread that
    # nothing can stop (resolver.py).
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    # Pillow's warnings about damaged metadata contain values of the client. Python would print each different
    # warning once, and keep it for ever.
    warnings.filterwarnings("ignore", module="PIL")
    run(settings)


if __name__ == "__main__":
    main()
