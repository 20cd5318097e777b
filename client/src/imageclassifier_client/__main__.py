"""Entry points of `imageclassifier`, `kubectl imageclassifier` and `python -m imageclassifier_client`."""

from __future__ import annotations

import sys

from .cli import run


def main() -> None:
    """Run the command line and exit with its exit code."""
    sys.exit(run(sys.argv[1:], program=sys.argv[0]))


def complete() -> None:
    """Print the candidates for the last argument, as kubectl asks `kubectl_complete-imageclassifier` to."""
    sys.exit(run(["__complete", *sys.argv[1:]], program=sys.argv[0]))


if __name__ == "__main__":
    main()
