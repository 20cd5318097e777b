"""The rows of the table: each is a rollout under steady load, its required end, and its requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tiny
from classifier import Classifier, Look
from figures import Latency, latency
from load import Load, Picture, Plan, Record

REST_SECONDS = 15.0
#: Connections and caches are warm then.
WARM_SECONDS = 3.0
AFTER_SECONDS = 3.0


@dataclass(frozen=True)
class Row:
    """A rollout from the serving version to `candidate` (None: to the other good version).

    `reasons`: None if the candidate must be promoted, else the reasons with one of which it must fail.
    `passes`: texts that the status must have shown during the rollout.
    """

    name: str
    rollout: dict[str, Any]
    candidate: int | None = None
    reasons: frozenset[str] | None = None
    passes: Callable[[Sequence[Look]], bool] = lambda looks: True
    white_every: int = 50
    from_warm: bool = False


@dataclass(frozen=True)
class Result:
    """The result of a row. Times are seconds since the change of the spec."""

    name: str
    requests: int
    failed: int
    failures: list[Record]
    candidate_failed: int
    """Requests that the candidate failed; another version answered them if they are not in `failed`."""
    end: str
    seconds: float
    took_over_seconds: float | None
    rest: Latency
    during: Latency
    by_version: dict[int, int]
    phases: list[tuple[float, str, int]] = field(default_factory=list)


QUICK = {"keepPreviousSeconds": 5, "progressDeadlineSeconds": 120}
ACCEPTANCE = {
    "cases": [
        {"name": "snow", "label": "light", "picture": {"base64": tiny.base64_picture(tiny.LIGHT)}},
        {"name": "night", "label": "dark", "picture": {"base64": tiny.base64_picture(tiny.DARK)}},
    ]
}
CRASHED = frozenset({"OutOfMemory", "TooManyErrors"})


def _steps_seen(*percents: int) -> Callable[[Sequence[Look]], bool]:
    return lambda looks: set(percents) <= {look.candidate_percent for look in looks}


ROWS = {
    "bump": Row("Plain bump", QUICK),
    "canary": Row(
        "Canary: 10 %, 50 %, all",
        {
            **QUICK,
            "minRequests": 100,
            "steps": [{"percent": 10, "durationSeconds": 10}, {"percent": 50, "durationSeconds": 10}],
            "limits": {
                "errorRateIncrease": "2%"
            },  # shown by about 250 requests, of which 15 come in a second
        },
        passes=_steps_seen(10, 50),
    ),
    "shadow": Row(
        "Shadow: 1,000 compared, then all",
        {**QUICK, "shadow": {"percent": 50, "minAgreementRate": "99%", "minCompared": 1000}},
        passes=lambda looks: max(look.compared for look in looks) > 0,
    ),
    "acceptance": Row(
        "Fails its acceptance pictures",
        {**QUICK, "acceptance": ACCEPTANCE},
        tiny.Version.MISLABELLED,
        frozenset({"AcceptanceFailed"}),
    ),
    "crash": Row(
        "Crashes at 20 % of the requests",
        {**QUICK, "minRequests": 100, "steps": [{"percent": 20, "durationSeconds": 60}]},
        tiny.Version.CRASHES,
        CRASHED,
        white_every=200,
    ),
    "crash-settle": Row(
        "Crashes after it took over",
        {**QUICK, "keepPreviousSeconds": 60},
        tiny.Version.CRASHES,
        CRASHED,
        white_every=1000,
    ),
    "slow": Row(
        "Too slow at 5 % of the requests",
        {
            **QUICK,
            "minRequests": 50,
            "steps": [{"percent": 5, "durationSeconds": 60}],
            "limits": {"p99Milliseconds": 75},
        },
        tiny.Version.SLOW,
        frozenset({"TooSlow"}),
    ),
    "rollback": Row("Rollback to the warm version", QUICK, from_warm=True),
}


def run(
    row: Row,
    classifier: Classifier,
    *,
    versions: tuple[int, int],
    pictures: Sequence[Picture],
    host: str,
    per_second: float,
    requests: int,
) -> Result:
    """Measure a row with at least `requests` requests. Raises AssertionError if it ends in another way."""
    before = classifier.look().serving
    assert before in versions, f"version {before} serves, not one of {versions}"
    other = versions[1] if before == versions[0] else versions[0]
    if row.from_warm:
        classifier.change(other, {**QUICK, "keepPreviousSeconds": 3600})
        classifier.watch_until(lambda look: look.phase == "Settle" and look.serving == other)
        before, other = other, before
    candidate = row.candidate or other
    errors = classifier.model_errors()
    plan = Plan(host, classifier.port(), per_second, pictures)
    with Load(plan) as load:
        started = time.time()
        time.sleep(WARM_SECONDS + REST_SECONDS)
        began = time.time()
        classifier.change(candidate, row.rollout)
        looks = classifier.watch_until(lambda look: is_over(look, candidate))
        time.sleep(AFTER_SECONDS)
        load.wait_for(requests)
    last = looks[-1]
    expected = {"Ready"} if row.reasons is None else row.reasons
    assert last.conditions["Ready"][1] in expected, last
    assert last.serving == (candidate if row.reasons is None else before), last
    assert last.conditions["Available"][0] == "True", last
    assert row.passes(looks), f"the status never said what it must: {looks}"
    answered = [record for record in load.records if not record.failed]
    failures = [record for record in load.records if record.failed]
    return Result(
        name=row.name,
        requests=len(load.records),
        failed=len(failures),
        failures=failures,
        candidate_failed=(classifier.model_errors() - errors)[candidate],
        end=f"{last.conditions['Ready'][1]}; version {last.serving} serves",
        seconds=last.at - began,
        took_over_seconds=next(
            (look.at - began for look in looks if look.serving == candidate != before), None
        ),
        rest=latency(load.records, started + WARM_SECONDS, began),
        during=latency(load.records, began, last.at),
        by_version={
            version: sum(record.version == version for record in answered)
            for version in sorted({record.version for record in answered if record.version is not None})
        },
        phases=_phases(looks, began),
    )


def is_over(look: Look, candidate: int) -> bool:
    """The rollout of the newest spec has ended: the candidate serves, or the status has its failure."""
    if look.phase != "Stable" or "Ready" not in look.conditions:
        return False
    ready, reason = look.conditions["Ready"]
    return ready == "True" or (candidate, reason) in look.failed


def _phases(looks: Sequence[Look], began: float) -> list[tuple[float, str, int]]:
    """The time at which each phase and share was first seen."""
    phases: list[tuple[float, str, int]] = []
    for look in looks:
        if not phases or phases[-1][1:] != (look.phase, look.candidate_percent):
            phases.append((round(look.at - began, 1), look.phase, look.candidate_percent))
    return phases
