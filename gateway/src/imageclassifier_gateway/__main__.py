"""`python -m imageclassifier_gateway`: runs the gateway. Settings come from `GATEWAY_*` environment
variables."""

from __future__ import annotations

import os
import sys

from .config import SettingError, read_settings
from .server import GatewayServer


def main() -> None:
    """Runs until SIGTERM. Exits with 2 when a setting cannot be used."""
    try:
        settings = read_settings(os.environ)
    except SettingError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    GatewayServer(settings).run()


if __name__ == "__main__":
    main()
