"""The rollout as a state machine: the table of transitions.

`decision` takes the first transition of the current phase whose guard holds, and repeats that until no guard
holds. The diagram in docs/rollouts.md is generated from this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout import actions
from imageclassifier_operator.rollout.context import RolloutContext
from imageclassifier_operator.rollout.guards import goal, load, settle, shift, verify
from imageclassifier_operator.rollout.state import Phase, State

Guard = Callable[[RolloutContext], "bool | Problem | None"]
Action = Callable[[RolloutContext], State]

PENDING, LOAD, VERIFY, SHIFT = Phase.PENDING, Phase.LOAD, Phase.VERIFY, Phase.SHIFT
SETTLE, RETIRE, STABLE, STOPPED = Phase.SETTLE, Phase.RETIRE, Phase.STABLE, Phase.STOPPED


@dataclass(frozen=True)
class Transition:
    """One row of the table: in a phase of `source`, when `guard` holds, run `action` and enter `target`.

    Without a `target` the phase stays. `name` is the reason of the Event. `message` is its text, with the
    placeholders `{version}` and `{percent}`.
    """

    name: str
    source: tuple[Phase, ...]
    guard: Guard
    target: Phase | None
    action: Action
    message: str
    restarts_clock: bool = True
    """Whether the time in the phase or step starts again at zero."""
    serving: bool | None = None
    """True: only while a version serves. False: only while none does. None: always."""
    history_entry: str = ""
    """The verdict of the entry that this transition adds to `status.history`; empty if it adds none."""
    about: Literal["candidate", "serving", "previous"] = "candidate"
    """The version that the message names. Without a candidate, that is the version that serves afterwards."""


ROLLOUT = (LOAD, VERIFY, SHIFT)
RUNNING = tuple(phase for phase in Phase if phase is not STOPPED)
ROLLED_BACK = "RolledBack"
"""The name of the transitions that return the traffic of a failing version to another one."""

TRANSITIONS: tuple[Transition, ...] = (
    # The user changes the goal.
    Transition(
        "Stopped", RUNNING, goal.stop_is_wanted, STOPPED, actions.stop,
        "Stopped the classifier, because spec.stopped is true. Its pods end, and its state is kept.",
    ),
    Transition(
        "Started", (STOPPED,), goal.start_is_wanted, STABLE, actions.keep_state,
        "Started the classifier. Version {version} serves as soon as its pods are ready.", serving=True,
        about="serving",
    ),
    Transition(
        "Started", (STOPPED,), goal.start_is_wanted, PENDING, actions.keep_state,
        "Started the classifier. No version has served yet.", serving=False,
    ),
    Transition(
        "CandidateReplaced", ROLLOUT, goal.candidate_is_replaced, LOAD, actions.start_rollout,
        "Dropped candidate version {version}, because the spec now asks for another version.",
        history_entry="Aborted",
    ),
    Transition(
        "RolloutAbandoned", ROLLOUT, goal.candidate_is_unwanted, RETIRE, actions.abort,
        "Aborted the rollout of version {version}, because the spec asks for the serving version again, or "
        "for a version that has failed.", serving=True,
        history_entry="Aborted",
    ),
    Transition(
        "RolloutAbandoned", ROLLOUT, goal.candidate_is_unwanted, PENDING, actions.abort,
        "Aborted the rollout of version {version}, because the spec asks for a version that has failed. No "
        "version serves.", serving=False,
        history_entry="Aborted",
    ),
    Transition(
        "RulesChanged", (VERIFY,), goal.rules_changed, None, actions.adopt_new_rules,
        "The rollout rules changed. Version {version} is verified again.",
    ),
    Transition(
        "RulesChanged", (LOAD, SHIFT, SETTLE), goal.rules_changed, None, actions.adopt_new_rules,
        "The rollout rules changed. The rollout of version {version} continues under the new rules.",
        restarts_clock=False,
    ),
    Transition(
        "SettingsChanged", tuple(Phase), goal.settings_changed_in_place, None, actions.update_in_place,
        "The settings of serving version {version} changed. Its pods are replaced one by one.",
        restarts_clock=False,
    ),
    Transition(
        "WentBack", (SETTLE,), goal.previous_is_wanted_and_warm, SETTLE, actions.return_to_previous,
        "Returned to version {version}, which was still warm, because the spec asks for it again.",
        history_entry="Restored",
    ),
    # A version fails.
    Transition(
        ROLLED_BACK, (SETTLE,), settle.serving_version_fails, RETIRE, actions.roll_back,
        "Rolled back version {version}. The previous version serves all traffic again.", about="serving",
        history_entry="RolledBack",
    ),
    Transition(
        ROLLED_BACK, (SHIFT,), shift.candidate_fails_under_traffic, RETIRE, actions.roll_back_candidate,
        "Rolled back candidate version {version}. The serving version serves all traffic again.",
        history_entry="RolledBack",
    ),
    Transition(
        "CandidateRefused", (VERIFY,), verify.verification_failed, RETIRE, actions.roll_back_candidate,
        "Version {version} failed verification. The serving version continues to serve.", serving=True,
        history_entry="Failed",
    ),
    Transition(
        "CandidateRefused", (VERIFY,), verify.verification_failed, PENDING, actions.roll_back_candidate,
        "Version {version} failed verification. No version serves yet.", serving=False,
        history_entry="Failed",
    ),
    Transition(
        "CandidateFailed", (VERIFY,), verify.candidate_failed_before_traffic, RETIRE,
        actions.roll_back_candidate,
        "Version {version} failed before it got traffic. The serving version continues to serve.",
        serving=True,
        history_entry="Failed",
    ),
    Transition(
        "CandidateFailed", (LOAD,), load.candidate_failed_to_load, RETIRE, actions.roll_back_candidate,
        "Version {version} failed to load. The serving version continues to serve.", serving=True,
        history_entry="Failed",
    ),
    # A version proceeds.
    Transition(
        "RolloutStarted", (PENDING, STABLE, RETIRE, SETTLE), goal.new_rollout_may_start, LOAD,
        actions.start_rollout, "Started rollout of version {version}.",
    ),
    Transition(
        "CandidateLoaded", (LOAD,), load.candidate_is_loaded, VERIFY, actions.start_verification,
        "Version {version} is loaded on all pods.",
    ),
    Transition(
        "FirstVersionServes", (VERIFY,), verify.candidate_passed, STABLE, actions.promote_first,
        "Version {version}, the first version, passed verification and now serves all traffic.",
        serving=False,
        history_entry="Promoted",
    ),
    Transition(
        "ShadowStarted", (VERIFY,), verify.shadow_is_due, SHIFT, actions.start_shadow,
        "Version {version} passed verification and now gets copies of requests as a shadow.", serving=True,
    ),
    Transition(
        "ShareChanged", (VERIFY,), verify.first_step_is_due, SHIFT, actions.start_next_step,
        "Version {version} passed verification and now gets {percent} % of the traffic.", serving=True,
    ),
    Transition(
        "TookOver", (VERIFY,), verify.candidate_may_take_traffic, SETTLE, actions.promote,
        "Version {version} passed verification and now serves all traffic.", serving=True,
        history_entry="Promoted",
    ),
    Transition(
        "ShareChanged", (SHIFT,), shift.next_step_is_due, SHIFT, actions.start_next_step,
        "Version {version} completed a step and now gets {percent} % of the traffic.",
    ),
    Transition(
        "TookOver", (SHIFT,), shift.last_step_is_complete, SETTLE, actions.promote,
        "Version {version} completed the last step and now serves all traffic.",
        history_entry="Promoted",
    ),
    Transition(
        "ShareChanged", (SHIFT,), shift.next_step_is_due_while_inconclusive, SHIFT, actions.start_next_step,
        "Version {version} ended a step with an inconclusive analysis, as spec.rollout.onInconclusive "
        "allows. It now gets {percent} % of the traffic.",
    ),
    Transition(
        "TookOver", (SHIFT,), shift.last_step_is_over_while_inconclusive, SETTLE, actions.promote,
        "Version {version} ended the last step with an inconclusive analysis, as spec.rollout.onInconclusive "
        "allows. It now serves all traffic.",
        history_entry="Promoted",
    ),
    Transition(
        "PreviousReleased", (SETTLE,), settle.keep_previous_time_is_over, RETIRE, actions.release_previous,
        "Released version {version}, which was kept warm for keepPreviousSeconds.", about="previous",
    ),
    Transition(
        "RolloutFinished", (RETIRE,), settle.only_kept_versions_exist, STABLE, actions.keep_state,
        "Finished rollout of version {version}. The pods of all other versions are gone.",
    ),
)  # fmt: skip
