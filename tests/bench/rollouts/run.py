"""Measures each kind of rollout under steady load on the Kind cluster: lost requests, latency, and the end.

    make bench-rollouts                                    everything, about twenty minutes
    make bench-rollouts ARGUMENTS="--rows bump crash"      some of the rows
    make bench-rollouts ARGUMENTS="--write"                also renew the table in docs/rollouts.md

There are two model servers and two gateways. The load comes from this machine through a node port, half of it
over kept-alive connections. The latency before each rollout is the reference for the latency during it. Every
failed request is printed. The program fails if a rollout does not end as its row requires.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import changes
import classifier
import rows
import tiny
from api import Api
from changes import Changes
from classifier import Classifier
from load import Picture, Record
from report import Report, machine, renew_page, today
from rows import ROWS, Result

from laptop import models as pizza
from laptop import product

PIZZA_ROWS = {
    "pizza-bump": replace(ROWS["bump"], name="Pizza model: plain bump"),
    "pizza-rollback": replace(ROWS["rollback"], name="Pizza model: rollback to the warm version"),
}
CHANGES = "changes"


@dataclass(frozen=True)
class Options:
    rows: list[str]
    per_second: float
    requests: int
    pizza_per_second: float
    pizza_requests: int
    changes: int
    write: bool
    out: Path | None


def options() -> Options:
    known = [*ROWS, CHANGES, *PIZZA_ROWS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", nargs="+", choices=known, default=known, metavar="ROW", help=", ".join(known)
    )
    parser.add_argument("--per-second", type=float, default=150.0, help="requests (%(default)s)")
    parser.add_argument("--requests", type=int, default=10_000, help="at least, for each row (%(default)s)")
    parser.add_argument("--pizza-per-second", type=float, default=10.0, help="(%(default)s)")
    parser.add_argument("--pizza-requests", type=int, default=800, help="(%(default)s)")
    parser.add_argument("--changes", type=int, default=20, help="routing changes to time (%(default)s)")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/rollouts.md")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    return Options(**vars(parser.parse_args()))


def main() -> None:
    wanted = options()
    images = product.ensure_images(tiny.ensure())
    if set(wanted.rows) & set(PIZZA_ROWS):
        product.ensure_images(pizza.ensure((1, 2)))
    product.install(images)
    with Api() as api, classifier.namespace(api):
        host = classifier.node_address(api)
        results, timed = _tiny(api, host, wanted)
        results += _pizza(api, host, wanted)
        report = Report(machine(api), today(), wanted.per_second, results, timed)
    print(report.markdown())
    if wanted.out:
        wanted.out.write_text(json.dumps(report.values(), indent=1), encoding="utf-8")
    if wanted.write:
        renew_page(report.markdown())
    if any(result.failed for result in results) or (timed and timed.failures):
        sys.exit("Requests were lost.")


def _tiny(api: Api, host: str, wanted: Options) -> tuple[list[Result], Changes | None]:
    names = [name for name in wanted.rows if name in ROWS]
    if not names and CHANGES not in wanted.rows:
        return [], None
    versions = (int(tiny.Version.GOOD), int(tiny.Version.ALSO_GOOD))
    results, timed = [], None
    with _serving(api, "tiny", tiny.NAME, versions[0]) as served:
        for name in names:
            result = rows.run(
                ROWS[name],
                served,
                versions=versions,
                pictures=tiny.pictures(ROWS[name].white_every),
                host=host,
                per_second=wanted.per_second,
                requests=wanted.requests,
            )
            results.append(result)
            _tell(result)
        if CHANGES in wanted.rows:
            timed = changes.measure(
                served,
                versions=versions,
                pictures=tiny.pictures(50),
                host=host,
                per_second=wanted.per_second,
                count=wanted.changes,
            )
            print(changes.in_words(timed.from_write_seconds), file=sys.stderr)
            _tell_failures(timed.failures)
    return results, timed


def _pizza(api: Api, host: str, wanted: Options) -> list[Result]:
    names = [name for name in wanted.rows if name in PIZZA_ROWS]
    if not names:
        return []
    picture = Picture(pizza.draw_pictures()["pizza"].read_bytes(), "pizza")
    results = []
    with _serving(api, "pizza", pizza.MODEL, 1) as served:
        for name in names:
            result = rows.run(
                PIZZA_ROWS[name],
                served,
                versions=(1, 2),
                pictures=[picture],
                host=host,
                per_second=wanted.pizza_per_second,
                requests=wanted.pizza_requests,
            )
            results.append(result)
            _tell(result)
    return results


@contextmanager
def _serving(api: Api, name: str, model: str, version: int) -> Iterator[Classifier]:
    """An ImageClassifier whose version serves; it is deleted afterwards."""
    with ExitStack() as stack:
        served = Classifier(api, name, model)
        served.create(version, rows.QUICK)
        stack.callback(served.delete)
        served.watch_until(lambda look: look.conditions.get("Ready", ("", ""))[0] == "True")
        yield served


def _tell(result: Result) -> None:
    """Print a row as soon as it is measured."""
    print(
        f"{result.name}: {result.requests} requests, {result.failed} failed, "
        f"{result.candidate_failed} answered by another version; {result.end} after {result.seconds:.1f} s; "
        f"at rest {result.rest}, during {result.during}; by version {result.by_version}; {result.phases}",
        file=sys.stderr,
        flush=True,
    )
    _tell_failures(result.failures)


def _tell_failures(failures: list[Record]) -> None:
    for record in failures[:20]:
        print(f"  failed: {record}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
