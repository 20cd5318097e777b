"""`python -m imageclassifier_gateway.verify --plan FILE`: runs one verification, as the Job does."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from ..command_line import TERMINATION_LOG, Parser, write_termination_log
from ..config import read_settings
from ..tracing import NO_TRACER, TracingError, tracer_of
from .progress import Progress
from .verification import verify
from .verification_verdict import Verdict

_DESCRIPTION = """\
Verify a version of a model before it gets traffic: its contract, its golden pictures, and the acceptance
pictures of the ImageClassifier. The verdict is printed as JSON. The verification Job runs this command."""
_EPILOG = """\
settings (environment variables):
  those of the gateway: see `imageclassifier-gateway --help`; GATEWAY_INTERNAL_PORT shows the progress

example:
  python -m imageclassifier_gateway.verify --plan /etc/imageclassifier/verification/plan.json

exit codes:
  0  passed
  1  failed
  2  no verdict: an argument is invalid, or the plan cannot be used
"""


def main() -> int:
    """Run the plan, write the verdict, and return the exit code."""
    parser = Parser(
        prog="python -m imageclassifier_gateway.verify",
        usage="%(prog)s --plan FILE [--termination-log FILE]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", required=True, help="the plan, a JSON file (required)"
    )
    parser.add_argument(
        "--termination-log",
        type=Path,
        metavar="FILE",
        default=TERMINATION_LOG,
        help="file from which Kubernetes reads the verdict; it must exist (default: %(default)s)",
    )
    arguments = parser.parse_args()
    tracer = NO_TRACER
    try:
        document, settings = json.loads(arguments.plan.read_text()), read_settings(os.environ)
        progress = Progress()
        with suppress(OSError):  # the verification does not need the port
            progress.serve(settings.internal_port)
        tracer = tracer_of(os.environ, "imageclassifier-verify")
        with tracer.begin("verification") as span:
            verdict = verify(document, settings, progress, span)
    except TracingError as error:
        verdict = Verdict()
        verdict.give_up(str(error))
    except (OSError, ValueError, RecursionError) as error:
        verdict = Verdict()
        verdict.give_up(f"The plan {arguments.plan} cannot be used: {error}")
    text = verdict.text()
    print(text, flush=True)
    write_termination_log(text, arguments.termination_log)
    tracer.close()  # last, because the collector may not answer
    return verdict.exit_code


if __name__ == "__main__":
    sys.exit(main())
