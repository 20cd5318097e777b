"""Entry point of the command `imageclassifier-training` and of `python -m imageclassifier_training`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its exit code."""
    # TensorFlow reads this when it is imported; its start-up messages would bury the command's own output.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from .cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
