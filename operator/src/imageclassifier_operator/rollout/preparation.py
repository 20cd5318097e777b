"""How the pods of a candidate that loads prepare the files of their model. Pure."""

from dataclasses import replace

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import Phase, State


def with_preparation(goal: Goal, state: State, snapshot: Snapshot) -> State:
    """The state whose candidate follows the spec's preparer, and searches files that were not found.

    The plain copy needs no second image and starts faster. So the search is the second attempt.
    """
    candidate = state.candidate
    if candidate is None or state.phase is not Phase.LOAD or goal.only_roll_back:
        return state
    wanted = goal.wanted
    if candidate.input_hash == wanted.input_hash and None not in (candidate.preparer, wanted.preparer):
        candidate = replace(candidate, preparer=wanted.preparer)
    problem = snapshot.problem_of(candidate)
    is_missing = problem is not None and problem.reason is Reason.MODEL_NOT_FOUND and not problem.fatal
    if is_missing and not candidate.searches and goal.preparer is not None:
        candidate = replace(candidate, searches=True, preparer=candidate.preparer or goal.preparer)
    return replace(state, candidate=candidate)
