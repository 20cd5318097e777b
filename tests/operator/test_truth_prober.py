"""The prober reports a wrong status, and accepts a status that is only a moment late."""

from collections.abc import Callable

import pytest

from truth import GRACE_SECONDS, Answer, Claim, History, contradictions
from truth_prober import answer_of, claim_of

GOOD = Claim(0.0, "True", "True", "Stable", frozenset({1}))


def answers(version: int | None, begin: float = 0, end: float = 100) -> list[Answer]:
    problem = "" if version else "503 model-unavailable"
    return [Answer(t / 10, t / 10 + 0.05, version, problem) for t in range(int(begin * 10), int(end * 10))]


def history(*claims: Claim, answers: list[Answer]) -> History:
    return History("pizza", list(claims), answers, looked_until=100.0)


def test_a_status_that_agrees_with_the_answers_contradicts_nothing() -> None:
    assert contradictions(history(GOOD, answers=answers(1))) == []


def test_one_failed_request_while_the_status_is_ready_all_the_time_is_a_lie() -> None:
    given = [*answers(1, 0, 50), Answer(50.0, 50.1, None, "503 model-unavailable"), *answers(1, 51, 100)]
    [found] = contradictions(history(GOOD, answers=given))
    assert found == (
        "pizza at 50.1: Ready was True all the time, but a request failed: 503 model-unavailable"
    )


@pytest.mark.parametrize("moment", [50 - GRACE_SECONDS + 1, 50.0, 50 + GRACE_SECONDS - 1])
def test_a_failure_is_no_lie_if_the_status_was_not_ready_a_moment_before_or_after(moment: float) -> None:
    given = [*answers(1, 0, 50), Answer(50.0, 50.1, None, "503"), *answers(1, 51, 100)]
    unready = Claim(moment, "True", "False", "Stable", frozenset({1}))
    ready = Claim(moment + 0.5, "True", "True", "Stable", frozenset({1}))
    assert contradictions(history(GOOD, unready, ready, answers=given)) == []


def test_a_status_that_is_unknown_claims_nothing() -> None:
    unknown = Claim(0.0, "Unknown", "Unknown", "Stable", frozenset({1}))
    assert contradictions(history(unknown, answers=answers(None))) == []


def test_available_although_every_request_fails_is_a_lie() -> None:
    claim = Claim(0.0, "True", "False", "Load", frozenset({1}))
    found = contradictions(history(claim, answers=answers(None)))
    assert found
    assert all("Available was True all the time, but every request failed" in each for each in found)
    mixed = sorted([*answers(None, 0, 100), *answers(1, 0, 100)], key=lambda answer: answer.ended)
    assert contradictions(history(claim, answers=mixed)) == []


def test_unavailable_although_every_request_is_answered_is_a_lie() -> None:
    claim = Claim(0.0, "False", "False", "Stable", frozenset({1}))
    found = contradictions(history(claim, answers=answers(1)))
    assert all("Available was False all the time, but version 1 answered" in each for each in found)
    assert found


def test_an_answer_of_a_version_that_the_status_does_not_name_is_a_lie_at_rest() -> None:
    found = contradictions(history(GOOD, answers=answers(2)))
    assert "version 2 answered, but the status named only [1] all the time" in found[0]
    settling = Claim(0.0, "True", "True", "Settle", frozenset({1}))
    assert contradictions(history(settling, answers=answers(2))) == []


def test_an_answer_of_the_version_before_shortly_after_the_change_is_no_lie() -> None:
    changed = Claim(50.0, "True", "True", "Stable", frozenset({2}))
    given = [*answers(1, 0, 50 + GRACE_SECONDS - 1), *answers(2, 65, 100)]
    assert contradictions(history(GOOD, changed, answers=given)) == []
    late = [*answers(1, 0, 50 + GRACE_SECONDS + 2), *answers(2, 67, 100)]
    assert contradictions(history(GOOD, changed, answers=late))


def test_nothing_is_a_lie_while_the_status_was_not_read() -> None:
    unseen = History("pizza", [GOOD], answers(None), looked_until=GRACE_SECONDS)
    assert contradictions(unseen) == []
    assert contradictions(History("pizza", [], answers(None), looked_until=100.0)) == []


def test_a_deleted_classifier_claims_nothing() -> None:
    assert contradictions(history(GOOD, Claim(20.0), answers=answers(None, 30, 100))) == []


BODY = {
    "metadata": {"generation": 2},
    "status": {
        "phase": "Stable",
        "traffic": [{"version": 1, "percent": 100}, {"version": 2, "percent": 0}],
        "conditions": [
            {"type": "Available", "status": "True", "observedGeneration": 2},
            {"type": "Ready", "status": "Unknown", "observedGeneration": 2},
        ],
    },
}


def test_a_claim_is_a_status_of_the_newest_spec() -> None:
    assert claim_of(BODY, 5.0) == Claim(5.0, "True", "Unknown", "Stable", frozenset({1}))
    newer = {**BODY, "metadata": {"generation": 3}}
    assert claim_of(newer, 5.0) == Claim(5.0, None, None, "", frozenset({1}))
    assert claim_of({"metadata": {"generation": 1}}, 5.0) == Claim(5.0)


def problem(cause: str) -> bytes:
    return f'{{"type": "tag:imageclassifier.dev,2026:{cause}"}}'.encode()


@pytest.mark.parametrize(
    ("status", "text", "counts"),
    [
        (200, b'{"model": {"version": 3}}', lambda answer: answer.version == 3),
        (503, problem("model-unavailable"), lambda answer: answer.version is None),
        (
            503,
            b'{"kind": "Status", "message": "no endpoints available"}',
            lambda answer: "503" in answer.problem,
        ),
        (503, problem("overloaded"), lambda answer: answer is None),
        (504, problem("timeout"), lambda answer: answer is None),
        (504, problem("model-timeout"), lambda answer: answer.version is None),
        (404, b"", lambda answer: answer is None),
    ],
)
def test_a_refused_request_is_no_evidence_about_the_serving_version(
    status: int, text: bytes, counts: Callable[[Answer | None], bool]
) -> None:
    assert counts(answer_of(status, text, 0.0, 0.1))


def test_a_failure_that_a_version_causes_on_purpose_is_no_evidence() -> None:
    failed = (503, problem("model-error"), 0.0, 0.1)
    assert answer_of(*failed) is not None
    assert answer_of(*failed, not_counted={"model-error"}) is None
