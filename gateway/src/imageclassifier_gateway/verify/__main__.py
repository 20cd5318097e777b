"""`python -m imageclassifier_gateway.verify --plan FILE`: runs one verification. The Job runs this command.

Exit code: 0 passed, 1 failed, 2 no verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from ..config import read_settings
from .progress import Progress
from .verdict import Verdict
from .verification import verify


def main() -> int:
    """Run the plan, write the verdict, and return the exit code."""
    parser = argparse.ArgumentParser(description="Verify a version of a model before it gets traffic.")
    parser.add_argument("--plan", type=Path, required=True, help="the plan, a JSON file")
    parser.add_argument(
        "--termination-log",
        type=Path,
        default=Path("/dev/termination-log"),
        help="where Kubernetes reads the verdict",
    )
    arguments = parser.parse_args()
    try:
        document, settings = json.loads(arguments.plan.read_text()), read_settings(os.environ)
        progress = Progress()
        with suppress(OSError):  # the verification does not need the port
            progress.serve(settings.internal_port)
        verdict = verify(document, settings, progress)
    except (OSError, ValueError, RecursionError) as error:
        verdict = Verdict()
        verdict.give_up(f"The plan {arguments.plan} cannot be used: {error}")
    text = verdict.text()
    print(text)
    if arguments.termination_log.exists():
        arguments.termination_log.write_text(text)
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
