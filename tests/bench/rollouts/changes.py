"""Measures how long a change of the routing takes: to the warm version and back, several times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from classifier import Classifier
from figures import percentile
from load import Load, Picture, Plan, Record
from rows import QUICK


@dataclass(frozen=True)
class Changes:
    """The duration of each change in seconds, until the last gateway uses the new routing.

    It is measured from the routing write and from the start of `kubectl patch`. The duration of that
    command is there too.
    """

    from_write_seconds: list[float]
    from_patch_seconds: list[float]
    kubectl_seconds: list[float]
    requests: int
    failures: list[Record]


def measure(
    classifier: Classifier,
    *,
    versions: tuple[int, int],
    pictures: Sequence[Picture],
    host: str,
    per_second: float,
    count: int,
) -> Changes:
    """Return to the warm version `count` times under load."""
    serving = classifier.look().serving
    other = versions[1] if serving == versions[0] else versions[0]
    classifier.change(other, {**QUICK, "keepPreviousSeconds": 3600})
    classifier.watch_until(lambda look: look.phase == "Settle" and look.serving == other)
    from_write, from_patch, kubectl = [], [], []
    plan = Plan(host, classifier.port(), per_second, pictures)
    with classifier.routing_writes() as written, Load(plan) as load:
        for number in range(count):
            time.sleep(1.0)
            wanted = versions[(versions.index(other) + number + 1) % 2]
            began = time.time()
            classifier.kubectl_patch({"model": {"version": wanted}})
            kubectl.append(time.time() - began)
            ended, revision = classifier.wait_until_all_serve(wanted)
            from_write.append(ended - written[revision])
            from_patch.append(ended - began)
    classifier.change(wanted, QUICK)
    classifier.watch_until(lambda look: look.phase == "Stable" and look.serving == wanted)
    failures = [record for record in load.records if record.failed]
    return Changes(from_write, from_patch, kubectl, len(load.records), failures)


def in_words(seconds: Sequence[float]) -> str:
    """Such as `p50 0.41 s, p95 0.62 s, at most 0.70 s`."""
    p50, p95 = percentile(seconds, 50), percentile(seconds, 95)
    return f"p50 {p50:.2f} s, p95 {p95:.2f} s, at most {max(seconds):.2f} s"
