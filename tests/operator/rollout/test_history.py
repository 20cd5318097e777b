"""The history of rollouts in the state."""

from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator.api import (
    Step,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Problem,
    Snapshot,
    Verdict,
)
from imageclassifier_operator.rollout import Goal, decide
from imageclassifier_operator.rollout.state import HistoryEntry, Phase, State
from single_decisions import NOW, ONE, PASSED, ROLLING, TWO, goal, seen


def with_digests(snapshot: Snapshot) -> Snapshot:
    versions = {n: replace(v, model_digest=f"pizza@sha256:{n}") for n, v in snapshot.versions.items()}
    return replace(snapshot, versions=versions)


UNLOADABLE = Problem(Reason.MODEL_LOAD_FAILED, "It is broken.", fatal=True)


@pytest.mark.parametrize(
    ("state", "wanted", "changed", "ended"),
    [
        (replace(ROLLING, phase=Phase.VERIFY), goal(), {"verdict": PASSED}, (2, "Promoted", "")),
        (
            replace(ROLLING, phase=Phase.VERIFY),
            goal(),
            {"verdict": Verdict(False, Reason.ACCEPTANCE_FAILED, "No pizza.")},
            (2, "Failed", "AcceptanceFailed"),
        ),
        (
            replace(ROLLING, phase=Phase.SHIFT, percent=10),
            goal(steps=(Step(10, 60),)),
            {"problem": UNLOADABLE},
            (2, "RolledBack", "ModelLoadFailed"),
        ),
        (replace(ROLLING, phase=Phase.VERIFY), goal(wanted=ONE, attempt="b"), {}, (2, "Aborted", "")),
        (
            State(revision=5, phase=Phase.SETTLE, serving=TWO, previous=ONE, attempt="a", since=NOW),
            goal(wanted=ONE, attempt="b"),
            {},
            (1, "Restored", ""),
        ),
    ],
    ids=["promoted", "failed", "rolled back", "aborted", "restored"],
)
def test_the_end_of_a_rollout_is_in_the_history(
    state: State, wanted: Goal, changed: dict[str, Any], ended: tuple[int, str, str]
) -> None:
    looks = with_digests(seen())
    if "problem" in changed:
        broken = replace(looks.versions[2], problem=changed["problem"])
        looks = replace(looks, versions={**looks.versions, 2: broken})
    else:
        looks = replace(looks, **changed)
    [entry] = decide(wanted, state, looks, NOW + 1).state.history
    assert (entry.version, entry.verdict, entry.reason) == ended
    assert (entry.time, entry.model_digest) == (NOW + 1, f"pizza@sha256:{ended[0]}")


def test_the_history_is_bounded_and_starts_with_the_newest() -> None:
    state = State()
    for version in range(1, 31):
        state = state.with_history(HistoryEntry(version, "Promoted", NOW))
    assert [entry.version for entry in state.history] == list(range(30, 20, -1))
    assert State.from_json(state.to_json()) == state


def test_a_state_of_a_release_without_history_is_read() -> None:
    stored = ROLLING.to_json()
    del stored["history"], stored["promotedToken"]
    assert State.from_json(stored) == ROLLING
