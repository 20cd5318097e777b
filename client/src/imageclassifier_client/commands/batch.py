"""`batch`: starts a Job that classifies the pictures of a claim or a bucket with the gateway."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from ..cluster.batches import Batches
from ..cluster.gateway import Gateway
from ..errors import ClientError
from ..output import console
from ..report.batches import CLASSIFIER_LABEL, Batch, Bucket, GatewayFacts, Place, job
from . import _arguments as arguments

_MOST_REQUESTS = 32
_EXAMPLES = """\
  kubectl imageclassifier batch pizza --pictures photographs/2026 --results photographs/results/2026.jsonl
  kubectl imageclassifier batch pizza --pictures s3://photographs/2026 --credentials-secret reader \\
      --region eu-central-1 --results results/2026.csv
  kubectl imageclassifier batches pizza
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "batch", run, "classify the pictures of a claim or a bucket with a Job", _EXAMPLES
    )
    arguments.add_name(command)
    command.add_argument(
        "--pictures",
        dest="where",
        required=True,
        metavar="WHERE",
        help="CLAIM, CLAIM/FOLDER, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, on all levels (required)",
    )
    command.add_argument(
        "--results",
        required=True,
        type=_results,
        metavar="CLAIM/FILE",
        help="file for the results, which ends with .jsonl or .csv. Pictures that have a line in it are left "
        "out (required)",
    )
    command.add_argument(
        "--concurrency",
        type=_concurrency,
        metavar="N",
        help=f"requests at once, 1 to {_MOST_REQUESTS} (default: 2)",
    )
    command.add_argument(
        "--api-key", type=_pair("SECRET/KEY"), metavar="SECRET/KEY", help="Secret with the gateway's API key"
    )
    command.add_argument(
        "--job", metavar="NAME", help="name of the Job (default: NAME-batch- and a random end)"
    )
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="print the Job as JSON, which kubectl reads, and create nothing",
    )
    bucket = command.add_argument_group("bucket")
    bucket.add_argument("--credentials-secret", metavar="SECRET", help="Secret with the keys of the bucket")
    bucket.add_argument(
        "--service-account", metavar="NAME", help="ServiceAccount with a role that may read the bucket"
    )
    bucket.add_argument("--endpoint", metavar="URL", help="URL of a store that is compatible with S3")
    bucket.add_argument("--region", metavar="REGION", help="region of the bucket")
    bucket.add_argument(
        "--ca",
        type=_pair("CONFIGMAP/KEY"),
        metavar="CONFIGMAP/KEY",
        help="certificates to trust for the bucket",
    )
    arguments.add_cluster(command)


def run(options: argparse.Namespace) -> None:
    """Create the Job."""
    batch = Batch(
        options.name,
        _pictures(options),
        options.results,
        options.concurrency,
        options.api_key,
        options.job,
        options.service_account,
    )
    with arguments.classifiers(options) as found:
        spec = found.read(options.name)["spec"].get("gateway") or {}
        _check_key(spec, batch)
        batches = Batches(found, CLASSIFIER_LABEL)
        pod, url = batches.gateway_pod(options.name), Gateway(found, options.name).url
        manifest = job(batch, GatewayFacts(url, pod, (spec.get("tls") or {}).get("secretName")))
        if options.dry_run:
            print(json.dumps(manifest, indent=2))
            return
        for place in (batch.pictures, batch.results):
            if isinstance(place, Place):
                batches.check_claim(place.claim)
        name = batches.create(manifest)
    progress = arguments.program(options).command("batches", options.name)
    console.results().print(f"Created the Job {name}. Its progress: {progress}.", markup=False)


def _check_key(gateway: dict[str, Any], batch: Batch) -> None:
    authentication = gateway.get("authentication") or {}
    if authentication.get("apiKeys") and batch.api_key is None:
        raise ClientError(
            f"The gateway of {batch.classifier} needs an API key. Put a key into a Secret, and name it with "
            "--api-key SECRET/KEY."
        )


def _pictures(options: argparse.Namespace) -> Place | Bucket:
    if "://" in options.where:
        if not re.fullmatch(r"(s3|gs)://[^/]+(/.*)?", options.where):
            raise ClientError(f"{options.where} is no bucket. Use s3://BUCKET/FOLDER or gs://BUCKET/FOLDER.")
        return Bucket(options.where, options.endpoint, options.region, options.ca, options.credentials_secret)
    try:
        return _place(options.where)
    except argparse.ArgumentTypeError as error:
        raise ClientError(f"--pictures: {error}.") from None


def _place(text: str) -> Place:
    claim, _, path = text.partition("/")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", claim) or ".." in PurePosixPath(path).parts:
        raise argparse.ArgumentTypeError(f"'{text}' must be the name of a claim, and a path in it after a /")
    return Place(claim, path.strip("/"))


def _results(text: str) -> Place:
    place = _place(text)
    if not place.path.lower().endswith((".jsonl", ".csv")):
        raise argparse.ArgumentTypeError(f"'{text}' must be CLAIM/FILE, and end with .jsonl or .csv")
    return place


def _pair(form: str) -> Callable[[str], tuple[str, str]]:
    def parse(text: str) -> tuple[str, str]:
        name, slash, key = text.partition("/")
        if not (name and slash and key) or "/" in key:
            raise argparse.ArgumentTypeError(f"'{text}' must be {form}")
        return name, key

    return parse


def _concurrency(text: str) -> int:
    number = arguments.positive_integer(text)
    if number > _MOST_REQUESTS:
        raise argparse.ArgumentTypeError(f"'{text}' must be at most {_MOST_REQUESTS}")
    return number
