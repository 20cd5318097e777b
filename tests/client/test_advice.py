"""The sentence and the next step of `why`."""

import dataclasses
from typing import Any

import pytest

from classifier_objects import FAILED, HISTORY, NOW, classifier
from imageclassifier_client.errors import ClientError
from imageclassifier_client.report import rollback
from imageclassifier_client.report.advice import headline, next_step, sentence
from imageclassifier_client.report.classifier import Report, report
from imageclassifier_client.report.program import Program
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.rollout.state import Phase, State
from status_examples import ONE, STATES, TWO

PROGRAM = Program("imageclassifier", ("--namespace", "food"))
REJECTED = State(phase=Phase.STABLE, serving=ONE, failed=(FAILED,))


def seen(state: State, **changes: Any) -> Report:
    return report(classifier(state, **changes), (), NOW)


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_for_not_being_ready_has_a_next_step(reason: Reason) -> None:
    conditions = [{"type": "Ready", "status": "False", "reason": reason.value, "message": "It is broken."}]
    found = seen(STATES[Phase.STABLE], conditions=conditions)
    assert headline(found) == f"not ready: {reason.value}"
    assert sentence(found) == "It is broken."
    assert "`" in next_step(found, PROGRAM)


def test_at_rest_there_is_nothing_to_do() -> None:
    found = seen(STATES[Phase.STABLE])
    assert (headline(found), sentence(found)) == ("Ready", "Version 2 is fully rolled out.")
    assert next_step(found, PROGRAM) == ""


def test_while_the_previous_version_is_warm_a_rollback_is_offered() -> None:
    pods = [{"metadata": {"name": "p", "labels": {"imageclassifier.dev/version": "1"}}}]
    found = report(classifier(STATES[Phase.SETTLE]), pods, NOW)
    assert sentence(found) == "Version 2 serves. Version 1 is kept warm."
    assert "To return to version 1, run `imageclassifier rollback pizza --namespace food`." in next_step(
        found, PROGRAM
    )


def test_a_paused_rollout_is_promoted_resumed_or_rolled_back() -> None:
    state = dataclasses.replace(STATES[Phase.SHIFT], clock_stopped_since=NOW)
    found = seen(state, paused=True)
    assert headline(found) == "not ready: Paused"
    step = next_step(found, PROGRAM)
    assert all(f"`imageclassifier {each} pizza" in step for each in ("promote", "resume", "rollback"))


def test_a_failed_version_is_retried_or_rolled_back_and_the_serving_one_is_named() -> None:
    found = seen(REJECTED)
    assert "1 of 3 pictures failed" in sentence(found)
    assert "Version 1 answers requests." in sentence(found)
    step = next_step(found, PROGRAM)
    assert "retry pizza" in step
    assert "Or ask for version 1 again: `imageclassifier rollback pizza" in step


def test_a_first_version_that_failed_can_only_be_retried() -> None:
    found = seen(State(phase=Phase.PENDING, failed=(FAILED,)))
    assert "retry pizza" in next_step(found, PROGRAM)
    assert "rollback" not in next_step(found, PROGRAM)


@pytest.mark.parametrize("generation", [-1, 2])
def test_a_change_that_the_operator_has_not_seen_is_not_called_ready(generation: int) -> None:
    found = seen(STATES[Phase.STABLE], observedGeneration=generation)
    assert headline(found) == "not seen by the operator yet"
    assert "imageclassifier-operator" in next_step(found, PROGRAM)


def history(*entries: tuple[int, str]) -> list[dict[str, Any]]:
    return [
        {"version": version, "verdict": verdict, "time": "2026-01-01T00:00:00Z"}
        for version, verdict in entries
    ]


@pytest.mark.parametrize(
    ("state", "entries", "target"),
    [
        pytest.param(STATES[Phase.SHIFT], history(), 1, id="aborts a rollout"),
        pytest.param(REJECTED, history((2, "Failed"), (1, "Promoted")), 1, id="asks for the serving version"),
        pytest.param(STATES[Phase.SETTLE], history((2, "Promoted"), (1, "Promoted")), 1, id="one before"),
        pytest.param(
            STATES[Phase.STABLE],
            history((2, "Restored"), (3, "Promoted"), (2, "Promoted")),
            3,
            id="forth again",
        ),
        pytest.param(
            STATES[Phase.STABLE],
            history((3, "RolledBack"), (3, "Promoted"), (2, "Promoted"), (1, "Promoted")),
            1,
            id="passes over a version that has failed since",
        ),
    ],
)
def test_a_rollback_returns_to(state: State, entries: list[dict[str, Any]], target: int) -> None:
    assert rollback.target(seen(state, history=entries)) == target


def test_without_an_earlier_version_a_rollback_asks_for_one() -> None:
    with pytest.raises(ClientError, match="Name the version with --to N"):
        rollback.target(seen(STATES[Phase.STABLE], history=history((2, "Promoted"))))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"image": {"reference": "pizza:{version}"}}, ""),
        ({"persistentVolumeClaim": {"claimName": "models"}}, ""),
        ({"image": {"reference": "pizza:two"}}, "pizza:two, without {version}"),
        (
            {"https": {"url": "https://example.org/{version}.tgz", "sha256": "0" * 64}},
            "sha256 belongs to one",
        ),
    ],
)
def test_a_version_whose_files_may_be_elsewhere_is_not_rolled_back_blindly(source: Any, problem: str) -> None:
    found = rollback.source_problem(source)
    assert problem in found
    assert bool(found) == bool(problem)


def test_the_history_says_whether_a_version_has_served() -> None:
    found = seen(State(phase=Phase.STABLE, serving=TWO, history=HISTORY))
    assert [rollback.has_served(found, version) for version in (1, 2, 3)] == [True, True, False]
