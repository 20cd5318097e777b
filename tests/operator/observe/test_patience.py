"""Which problems are normal during a start, and after how long the status shows them."""

import pytest

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.patience import ORDINARY_SECONDS, Patience
from imageclassifier_operator.observe.types import Problem

STARTING = Problem(Reason.NOT_ANSWERING, "Container gateway runs but fails its readiness probe.")


@pytest.mark.parametrize("reason", ORDINARY_SECONDS)
def test_a_problem_of_an_ordinary_start_is_shown_once_it_outlasts_that(reason: Reason) -> None:
    patience, problem = Patience(), Problem(reason, "Something is slow.")
    ordinary = ORDINARY_SECONDS[reason]
    assert patience.outlasting({"gateway": problem}, 100.0) == ({"gateway": None}, ordinary)
    assert patience.outlasting({"gateway": problem}, 99.0 + ordinary) == ({"gateway": None}, 1.0)
    assert patience.outlasting({"gateway": problem}, 100.0 + ordinary) == ({"gateway": problem}, None)


@pytest.mark.parametrize(
    "problem",
    [
        Problem(Reason.IMAGE_PULL_FAILED, "There is no such image."),
        Problem(Reason.QUOTA_EXCEEDED, "The quota is used up."),
        Problem(Reason.NOT_ANSWERING, "It will never answer.", fatal=True),
    ],
)
def test_any_other_problem_is_shown_at_once(problem: Problem) -> None:
    assert Patience().outlasting({"gateway": problem}, 0.0) == ({"gateway": problem}, None)


def test_a_problem_that_went_and_came_back_is_new_and_so_is_another_reason() -> None:
    patience = Patience()
    patience.outlasting({"gateway": STARTING}, 0.0)
    patience.outlasting({"gateway": None}, 5.0)
    assert patience.outlasting({"gateway": STARTING}, 12.0)[0] == {"gateway": None}
    unscheduled = Problem(Reason.UNSCHEDULABLE, "No node has room.")
    assert patience.outlasting({"gateway": unscheduled}, 30.0)[0] == {"gateway": None}


def test_each_place_has_its_own_time() -> None:
    patience = Patience()
    patience.outlasting({"gateway": STARTING, "version 1": None}, 0.0)
    shown, wait = patience.outlasting({"gateway": STARTING, "version 1": STARTING}, 10.0)
    assert shown == {"gateway": STARTING, "version 1": None}
    assert wait == 10.0


def test_a_problem_that_the_status_reports_already_stays_in_it_when_the_leader_changes() -> None:
    patience = Patience(known=frozenset({"NotAnswering"}))
    assert patience.outlasting({"gateway": STARTING}, 0.0)[0] == {"gateway": STARTING}
    assert patience.outlasting({"gateway": STARTING}, 1.0)[0] == {"gateway": STARTING}
    assert patience.outlasting({"gateway": STARTING, "version 1": STARTING}, 2.0)[0]["version 1"] is None
