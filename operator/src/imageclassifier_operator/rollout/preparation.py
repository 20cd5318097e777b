"""How the pods of a candidate that loads prepare the files of their model. Pure."""

from dataclasses import replace

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Snapshot
from imageclassifier_operator.rollout.goal import Goal
from imageclassifier_operator.rollout.state import Phase, State


def with_preparation(goal: Goal, state: State, snapshot: Snapshot) -> State:
    """The state whose candidate follows the preparer of the spec, and prepares its files as they need it.

    Files that were not found are searched: the plain copy needs no second image and starts faster, so the
    search is the second attempt. If the source has an alias, the first pod resolves it to a number, and
    the next ones download that.
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
    if candidate.alias_version is None and snapshot.is_deployed(candidate):
        candidate = replace(candidate, alias_version=snapshot.versions[candidate.version].alias_version)
    return replace(state, candidate=candidate)
