"""Counts rollbacks and lost requests in many rollouts of versions that fail at random, on the Kind cluster.

    make bench-verdicts                              20 rollouts of each kind, about half an hour
    make bench-verdicts ARGUMENTS="--rollouts 4"     fewer
    make bench-verdicts ARGUMENTS="--write"          also renew the table in docs/rollouts.md

Several classifiers roll out at once. Random failures of a version are counted apart,
because the rollout does not cause them. Any other request without a correct response is lost, and the program
fails. It also fails if an equal version is rolled back, or if a worse one is not. Meanwhile the
prober of the cluster tests sends requests and reads the statuses. A contradiction is a failure too.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import classifier
import tiny
from api import Api
from classifier import NAMESPACE, Classifier, Look
from load import Load, Plan, Record
from report import machine, renew_page, today
from rows import QUICK, is_over
from tiny import Version

from cluster_testbed import Kubectl
from laptop import product
from laptop.cluster_state import LAPTOP
from laptop.kubernetes_programs import kubectl_program
from truth_prober import INTERVAL_SECONDS, TruthProber

MARKERS = ("<!-- made by make bench-verdicts: begin -->\n", "<!-- made by make bench-verdicts: end -->\n")
AT_ONCE = 3
PER_SECOND = 15.0
STEP_SECONDS = 30
SETTLE_SECONDS = 30
#: The problem that a gateway reports when every version that it asked failed to answer.
FAILED_BY_THE_MODEL = "model-error"


@dataclass(frozen=True)
class Kind:
    """Rollouts from `serving` to `candidate`, and back again unless the candidate is `worse`."""

    name: str
    serving: Version
    candidate: Version
    worse: bool


KINDS = (
    Kind("both fail 0.5 %", Version.FAILS_HALF_PERCENT, Version.ALSO_FAILS_HALF_PERCENT, worse=False),
    Kind("both fail 2 %", Version.FAILS_2_PERCENT, Version.ALSO_FAILS_2_PERCENT, worse=False),
    Kind("0.5 % against 5 %", Version.FAILS_HALF_PERCENT, Version.FAILS_5_PERCENT, worse=True),
)


@dataclass
class Outcome:
    """The results of the rollouts of one kind."""

    kind: Kind
    rollouts: list[Version] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Of the rollouts that were rolled back."""
    requests: int = 0
    failed_by_the_models: int = 0
    lost: list[Record] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    """Statuses that the prober's responses contradict."""

    @property
    def is_right(self) -> bool:
        wanted = len(self.rollouts) if self.kind.worse else 0
        return len(self.reasons) == wanted and not self.lost and not self.contradictions

    def add_requests(self, records: list[Record]) -> None:
        self.requests += len(records)
        failed = [record for record in records if record.failed]
        by_model = [record for record in failed if FAILED_BY_THE_MODEL in (record.said or "")]
        self.failed_by_the_models += len(by_model)
        self.lost += [record for record in failed if record not in by_model]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--write", action="store_true", help="renew the table in docs/rollouts.md")
    wanted = parser.parse_args()
    images = product.ensure_images(tiny.ensure())
    product.install(images)
    with Api() as api, classifier.namespace(api):
        host = classifier.node_address(api)
        outcomes = [_rollouts(api, host, kind, wanted.rollouts) for kind in KINDS]
        table = "\n".join(_table(machine(api), outcomes)) + "\n"
    print(table)
    if wanted.write:
        renew_page(table, *MARKERS)
    if not all(outcome.is_right for outcome in outcomes):
        sys.exit("A verdict was wrong, requests were lost, or a status contradicted the responses.")


def _rollouts(api: Api, host: str, kind: Kind, count: int) -> Outcome:
    """Run `count` rollouts of a kind, by several classifiers at once."""
    outcome = Outcome(kind)
    numbers = iter(range(count))  # shared: each classifier takes the next one
    kubectl = Kubectl(str(kubectl_program()), LAPTOP.context, NAMESPACE)
    with ExitStack() as stack:
        served = [Classifier(api, f"tiny-{number}", tiny.NAME) for number in range(AT_ONCE)]
        for each in served:
            each.create(int(kind.serving), QUICK)
            stack.callback(each.delete)
        with TruthProber(kubectl, {FAILED_BY_THE_MODEL}) as prober, ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: _roll_out(each, host, kind, numbers, outcome), served))
    outcome.contradictions += prober.contradictions()
    print(_row(outcome), *prober.report(), sep="\n", file=sys.stderr, flush=True)
    for record in outcome.lost[:20]:
        print(f"  lost: {record}", file=sys.stderr, flush=True)
    return outcome


def _roll_out(served: Classifier, host: str, kind: Kind, numbers: Iterator[int], outcome: Outcome) -> None:
    served.watch_until(lambda look: look.conditions.get("Ready", ("", ""))[0] == "True")
    directions = itertools.cycle([(kind.serving, kind.candidate), (kind.candidate, kind.serving)])
    with Load(Plan(host, served.port(), PER_SECOND, tiny.pictures(50))) as load:
        for number in numbers:
            before, candidate = (kind.serving, kind.candidate) if kind.worse else next(directions)
            served.change(int(before), QUICK)
            served.watch_until(partial(is_over, candidate=int(before)))
            # Each rollout has its own minRequests: a failed version is not retried unchanged.
            served.change(int(candidate), _canary(kind, min_requests=100 + number))
            last = served.watch_until(partial(is_over, candidate=int(candidate)), 600)[-1]
            outcome.rollouts.append(candidate)
            if last.serving != candidate:
                outcome.reasons.append(_reason(last, candidate))
                if not kind.worse:
                    print(f"  rolled back: {last}", file=sys.stderr, flush=True)
                    break
    outcome.add_requests(load.records)


def _canary(kind: Kind, min_requests: int) -> dict[str, object]:
    # Proof that equal versions are equal would take minutes in each rollout. Only `Wait` promises to catch a
    # worse one: with these rates that takes about 470 requests, and a step has fewer.
    return {
        "steps": [{"percent": 50, "durationSeconds": STEP_SECONDS}],
        "minRequests": min_requests,
        "onInconclusive": "Wait" if kind.worse else "Continue",
        "keepPreviousSeconds": SETTLE_SECONDS,
        "progressDeadlineSeconds": 300,
    }


def _reason(look: Look, candidate: Version) -> str:
    return next((reason for version, reason in reversed(look.failed) if version == candidate), "unknown")


def _table(where: str, outcomes: list[Outcome]) -> Iterator[str]:
    yield f"{today()}, {where}."
    yield f"{AT_ONCE} classifiers run at once and get {PER_SECOND:.0f} requests/s each. The prober adds at"
    yield f"most one each {INTERVAL_SECONDS * 1000:.0f} ms, and compares the status with the responses."
    yield f"One step of 50 % takes {STEP_SECONDS} s, and Settle {SETTLE_SECONDS} s. Limits are the default."
    yield "Equal versions roll out with `onInconclusive: Continue`, the worse one with the default `Wait`."
    yield ""
    columns = "failed by the models | lost | untrue statuses"
    yield f"| versions | rollouts | rolled back | reasons | requests | {columns} |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from map(_row, outcomes)


def _row(outcome: Outcome) -> str:
    reasons = ", ".join(f"{reason}: {count}" for reason, count in Counter(outcome.reasons).items())
    figures = (outcome.kind.name, len(outcome.rollouts), len(outcome.reasons), reasons)
    wrong = (len(outcome.lost), len(outcome.contradictions))
    requests = (f"{outcome.requests:,}", outcome.failed_by_the_models, *wrong)
    return f"| {' | '.join(map(str, figures + requests))} |"


if __name__ == "__main__":
    main()
