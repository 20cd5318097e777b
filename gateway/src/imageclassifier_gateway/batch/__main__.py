"""`python -m imageclassifier_gateway.batch`: the program of a Job that classifies many pictures."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command_line import Parser, write_termination_log
from .asking import Gateway
from .errors import BatchInterruptedError, BatchRefusedError
from .pictures import Folder, Pictures, listed
from .results import ResultsFile
from .running import Run, Tally

_DESCRIPTION = """\
Classify the pictures of a folder or of a bucket with a gateway. Each result is a line of a file. A picture
that has a line is not sent again, so a run that was killed continues. The batch sends few requests at once,
pauses while others use the gateway, and waits when the gateway has no room."""
_EPILOG = """\
example:
  python -m imageclassifier_gateway.batch --gateway http://pizza-gateway.default.svc \\
    --pictures /photographs --results /results/2026.jsonl

environment variables:
  IMAGECLASSIFIER_API_KEY  key of a gateway that needs one

exit codes:
  0  every picture has a line, with a prediction or an error
  1  the run was stopped, the gateway or the bucket does not answer, or the results cannot be written now;
     the next run continues
  2  an argument is invalid, or the gateway or the bucket refuses the batch
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the batch, and return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        line, code = _run(given), 0
    except BatchRefusedError as error:
        line, code = str(error), 2
    except BatchInterruptedError as error:
        line, code = str(error), 1
    _say(line)
    with contextlib.suppress(OSError):  # only a copy: the log has the line too
        write_termination_log(line)
    return code


def _run(given: argparse.Namespace) -> str:
    pictures = _pictures(given)
    found = listed(pictures)
    key = os.environ.get("IMAGECLASSIFIER_API_KEY", "")
    run = Run(pictures, Gateway(given.gateway, key, _tls(given.gateway_ca)), _say)
    signal.signal(signal.SIGTERM, lambda *_: run.stop())
    with ResultsFile(given.results) as results:
        names = [name for name in found.pictures if not results.has(name)]
        tally = Tally(len(found.pictures), len(found.pictures) - len(names))
        others = f" {found.others:,} other files are left out." if found.others else ""
        _say(f"{tally.total:,} pictures, {tally.before:,} of them in {given.results} already.{others}")
        if names:
            run.classify(names, results, tally, given.concurrency)
    return tally.summary()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m imageclassifier_gateway.batch",
        usage="%(prog)s --gateway URL --pictures WHERE --results FILE [OPTIONS]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("--gateway", required=True, metavar="URL", help="the gateway")
    parser.add_argument(
        "--pictures",
        required=True,
        metavar="WHERE",
        help="a folder (all levels), s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
    )
    parser.add_argument(
        "--results", required=True, type=Path, metavar="FILE", help="a file that ends with .jsonl or .csv"
    )
    parser.add_argument(
        "--concurrency",
        type=_concurrency,
        default=2,
        metavar="N",
        help="requests at once, 1 to 32 (default: 2)",
    )
    parser.add_argument(
        "--gateway-ca",
        type=Path,
        metavar="FILE",
        help="certificates to trust for the gateway, if the file exists",
    )
    bucket = parser.add_argument_group("bucket")
    bucket.add_argument("--endpoint", metavar="URL", help="the URL of a store that is compatible with S3")
    bucket.add_argument("--region", help="the region of the bucket")
    bucket.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust for the bucket")
    bucket.add_argument(
        "--credentials", type=Path, metavar="DIRECTORY", help="a mounted Secret with the keys of the store"
    )
    return parser


def _pictures(given: argparse.Namespace) -> Pictures:
    if "://" not in given.pictures:
        return Folder(Path(given.pictures))
    # The library of the stores is large, and folders do not need it.
    from ..model_files.storage.access import Access
    from .bucket import BucketFolder

    access = Access(
        given.endpoint,
        given.region,
        given.ca_file,
        given.credentials,
        "The Secret with the credentials of the bucket",
        f"The file {given.ca_file} with the certificates of the bucket",
    )
    return BucketFolder(given.pictures, access)


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None and ca_file.exists():  # a Secret with a certificate of a public authority has none
        try:
            context.load_verify_locations(ca_file)
        except (ssl.SSLError, OSError):
            raise BatchRefusedError(f"{ca_file} contains no certificate in PEM form. Correct it.") from None
    return context


def _concurrency(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f"'{text}' must be a whole number from 1 to 32")
    return int(text)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
