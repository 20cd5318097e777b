"""Guards of the phase Load: is the candidate loaded, or has it failed to load?"""

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards.pods import fatal_problem, is_loaded, overdue


def candidate_is_loaded(context: RolloutContext) -> bool:
    """All pods are available, and no outdated pod of this version number could answer the verification."""
    candidate = context.state.candidate
    if candidate is None or not is_loaded(context, candidate):
        return False
    return not context.snapshot.versions[candidate.version].outdated_pods_serve


def candidate_failed_to_load(context: RolloutContext) -> Problem | None:
    """A fatal problem of the pods, or the deadline. None for the first version, which keeps trying."""
    candidate = context.state.candidate
    if candidate is None or context.state.serving is None:
        return None
    if (problem := fatal_problem(context, candidate)) is not None:
        return problem
    cause = context.snapshot.problem_of(candidate) or Problem(Reason.PROGRESS_DEADLINE_EXCEEDED, "")
    return overdue(context, f"Version {candidate.version} did not become ready", cause)
