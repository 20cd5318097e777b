"""Does the status tell the truth? Compares what it claimed with what clients got. Pure; knows no operator.

A status may lag behind the cluster: a claim counts only if it held all the time from a while before a request
to a while after it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

GRACE_SECONDS = 15.0
"""The status may be this late, in both directions, when pods change."""
SHOWN = 5
"""How many contradictions of one ImageClassifier are printed."""


@dataclass(frozen=True)
class Claim:
    """The claim of the status about its newest spec, from `at` on; None: it made no claim."""

    at: float
    available: str | None = None
    ready: str | None = None
    phase: str = ""
    versions: frozenset[int] = frozenset()
    """The versions that get traffic."""


@dataclass(frozen=True)
class Answer:
    """What one client got: a prediction of `version`, or the `problem` in the response."""

    began: float
    ended: float
    version: int | None = None
    problem: str = ""


@dataclass
class History:
    """The claims about one ImageClassifier and its responses, each in chronological order."""

    name: str
    claims: list[Claim] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    looked_until: float = 0.0
    """When the status was last looked at. The last claim holds until then."""

    def summary(self) -> str:
        """Format one line of the report."""
        failed = sum(answer.version is None for answer in self.answers)
        return f"{self.name}: {len(self.answers)} answers, {failed} failures, {len(self.claims)} statuses"


def contradictions(history: History, grace: float = GRACE_SECONDS) -> list[str]:
    """One sentence for each answer that contradicts what the status claimed around it."""
    return list(_contradictions(history, grace))


def _contradictions(history: History, grace: float) -> Iterator[str]:
    times = [claim.at for claim in history.claims]
    ends = [answer.ended for answer in history.answers]
    for answer in history.answers:
        begin, end = answer.began - grace, answer.ended + grace
        if not times or begin < times[0] or end > history.looked_until:
            continue  # the status was not read during the whole interval
        claims = history.claims[bisect_right(times, begin) - 1 : bisect_right(times, end)]
        around = history.answers[bisect_left(ends, answer.ended - grace) : bisect_right(ends, answer.ended)]
        sentence = _contradiction(answer, claims, around)
        if sentence is not None:
            yield f"{history.name} at {answer.ended:.1f}: {sentence}"


def _contradiction(answer: Answer, claims: Sequence[Claim], around: Sequence[Answer]) -> str | None:
    """How one answer contradicts the claims. `around`: the answers up to this one, for one grace."""
    if answer.version is None:
        if all(claim.ready == "True" for claim in claims):
            return f"Ready was True all the time, but a request failed: {answer.problem}"
        always_available = all(claim.available == "True" for claim in claims)
        if always_available and all(other.version is None for other in around):
            return f"Available was True all the time, but every request failed: {answer.problem}"
        return None
    never_available = all(claim.available == "False" for claim in claims)
    if never_available and all(other.version is not None for other in around):
        return f"Available was False all the time, but version {answer.version} answered every request"
    at_rest = all(claim.phase == "Stable" for claim in claims)
    if at_rest and all(answer.version not in claim.versions for claim in claims):
        named = sorted(claims[-1].versions)
        return f"version {answer.version} answered, but the status named only {named} all the time"
    return None
