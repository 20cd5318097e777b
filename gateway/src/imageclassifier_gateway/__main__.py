"""`python -m imageclassifier_gateway`: runs the gateway with settings from `GATEWAY_*` variables."""

from __future__ import annotations

import os
import sys
import warnings

from .config import SettingError, read_settings
from .process import run


def main() -> None:
    """Runs until SIGTERM. Exits with 2 when a setting cannot be used."""
    try:
        settings = read_settings(os.environ)
    except SettingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    # gRPC's library writes plain lines of its own to stderr at each lost connection; what matters is in our
    # log.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # numpy would start a thread for each core of the machine, for algebra that is never asked for here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The name server that a user's URL leads to may never answer: by default glibc waits 10 s for it, in a
    # thread that nothing can stop (resolver.py).
    os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")
    # Pillow warns of damaged metadata in texts that hold a client's numbers. Python would print each of them
    # once, and keep it forever.
    warnings.filterwarnings("ignore", module="PIL")
    run(settings)


if __name__ == "__main__":
    main()
