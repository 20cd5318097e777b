"""Events about an ImageClassifier, as kubectl reads them."""

from typing import Any

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import TakenTransition
from imageclassifier_operator.rollout.state import Phase
from imageclassifier_operator.rollout.transitions import TRANSITIONS
from imageclassifier_operator.status import events

METADATA = {"name": "pizza", "namespace": "food", "uid": "u", "generation": 3}
STARTED = TakenTransition("RolloutStarted", "Started rollout of version 2.", Phase.LOAD, 2, 0)


def told(taken: TakenTransition = STARTED, revision: int = 7, now: float = 0.0) -> dict[str, Any]:
    return events.of_transition(events.Subject(METADATA, "operator-0", now), taken, revision)


def test_kubectl_describe_can_put_events_in_their_order() -> None:
    """kubectl sorts Events by the first timestamp, and in no order without one."""
    assert [told(now=now)["firstTimestamp"] for now in (0.4, 61)] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:01:01Z",
    ]


def test_a_repeated_report_is_one_event_and_a_repeated_transition_is_two() -> None:
    assert told(now=5)["metadata"] == told(now=6)["metadata"]
    assert told(revision=8)["metadata"] != told(revision=7)["metadata"]


def test_a_failed_version_posts_a_warning_with_the_cause() -> None:
    cause = Problem(Reason.TOO_SLOW, "version 2 is slow")
    event = told(TakenTransition("RolledBack", "Its share goes back.", Phase.RETIRE, 2, 0, cause))
    assert (event["type"], event["message"]) == ("Warning", "Its share goes back. TooSlow: version 2 is slow")


def test_an_object_with_a_name_that_is_too_long_gets_an_event() -> None:
    problem = Problem(Reason.INVALID_SPEC, "the name cannot be used")
    event = events.of_problem(events.Subject({**METADATA, "name": "p" * 253}, "operator-0", 0.0), problem)
    assert len(event["metadata"]["name"]) <= 253
    assert event["involvedObject"]["name"] == "p" * 253


def test_only_transitions_that_change_the_traffic_or_have_a_cause_get_an_event() -> None:
    assert not events.is_worth_an_event(STARTED)
    assert events.is_worth_an_event(TakenTransition("TookOver", "It serves.", Phase.SETTLE, 2, 100))
    failed = TakenTransition(
        "RolloutFinished", "It ended.", Phase.STABLE, 2, 0, Problem(Reason.TOO_SLOW, "slow")
    )
    assert events.is_worth_an_event(failed)


def test_every_transition_without_an_event_exists() -> None:
    assert {transition.name for transition in TRANSITIONS} >= events.STEPS
