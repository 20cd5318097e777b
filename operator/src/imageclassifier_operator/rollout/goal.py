"""The goal: which version the user wants, and by which rules it is rolled out."""

import dataclasses
from dataclasses import dataclass, field

from imageclassifier_operator.api import ImageClassifier, ModelVersion, RolloutSettings, Step, names
from imageclassifier_operator.api.model_version import digest
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout.state import State

PROMOTE_ANNOTATION = f"{names.GROUP}/promote"
RETRY_ANNOTATION = f"{names.GROUP}/retry"


@dataclass(frozen=True)
class Goal:
    """The wanted version, and how to roll it out.

    `attempt` is a hash of everything that the outcome depends on: the version's inputs, the rollout's rules
    and the annotation or token for a retry. It contains neither `paused`, which only stops the clock, nor
    `promoteToken`, nor the replicas. A version that failed is not retried under the same attempt.

    `refused`: why the operator cannot act on the spec. `wanted` is then the serving version, and a rollout in
    progress is aborted, since the spec no longer asks for its candidate.
    """

    wanted: ModelVersion
    attempt: str
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    promote: str = ""
    """The value of the promote annotation."""
    request_timeout_seconds: float = 10.0
    """The deadline of a request in the gateway."""
    refused: Problem | None = None
    stopped: bool = False
    """No pods are wanted."""
    only_roll_back: bool = False
    """The spec is invalid: the rollout stands still, unless the version under analysis fails."""
    replicas: int = 1
    """The number of model servers of each version."""
    preparer: Preparer | None = None
    """The image that searches files which are not where they are expected."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps below 100 percent. Every rollout ends with 100 percent."""
        return tuple(step for step in self.rollout.steps if step.percent < 100)

    def step(self, percent: int) -> Step | None:
        """The step to which a share of `percent` belongs; None when the spec has no steps.

        If the steps have changed meanwhile, it is the last one up to that share, or else the first.
        """
        reached = [step for step in self.steps if step.percent <= percent]
        return next(iter([*reversed(reached), *self.steps]), None)

    def next_percent(self, percent: int) -> int:
        """The share of the step after `percent`."""
        return next((step.percent for step in self.steps if step.percent > percent), 100)


def goal_of(
    ic: ImageClassifier, default_serving_image: str, state: State, default_gateway_image: str = ""
) -> Goal:
    """The goal in the spec of `ic`, given the present `state`.

    The serving version is immutable: other model files, classes, input or output under its number are
    refused. Its settings may change in place.
    """
    wanted, preparer = (
        ic.candidate(default_serving_image, default_gateway_image),
        Preparer.of(ic.gateway, default_gateway_image),
    )
    refused = None
    serving = state.serving
    if serving is not None and (refused := _refused(serving, wanted)) is not None:
        wanted = serving
    elif serving is not None and serving.input_hash == wanted.input_hash:
        wanted = serving  # keeps its server image, so that an operator upgrade restarts nothing
    elif state.candidate is not None and state.candidate.input_hash == wanted.input_hash:
        wanted = _with_present_preparer(state.candidate, preparer)
    elif serving is not None and serving.version == wanted.version:
        wanted = _with_present_images(serving, wanted)
    # Pausing only stops the clock, and `on_inconclusive` only ends a wait: no version fails by them.
    rules = dataclasses.replace(
        ic.rollout, paused=False, promote_token="", on_inconclusive=RolloutSettings.on_inconclusive
    )
    return Goal(
        wanted=wanted,
        attempt=digest([wanted.input_hash, rules, ic.annotations.get(RETRY_ANNOTATION, "")]),
        rollout=ic.rollout,
        replicas=ic.replicas,
        promote=ic.annotations.get(PROMOTE_ANNOTATION, ""),
        request_timeout_seconds=float(ic.gateway.timeout_seconds),
        refused=refused,
        stopped=ic.stopped,
        preparer=preparer,
    )


def _with_present_preparer(candidate: ModelVersion, preparer: Preparer) -> ModelVersion:
    """The candidate with the preparer of the spec, whose image or pull secrets may just have been corrected.

    The default image stays, so that an operator upgrade restarts nothing.
    """
    if candidate.preparer is None:
        return candidate
    present = dataclasses.replace(preparer, default_image=candidate.preparer.default_image)
    return dataclasses.replace(candidate, preparer=present)


def _with_present_images(serving: ModelVersion, wanted: ModelVersion) -> ModelVersion:
    """The version with changed settings, which change neither the default image nor where the files are."""
    wanted = dataclasses.replace(wanted, alias_version=serving.alias_version)
    if serving.searches:
        wanted = dataclasses.replace(wanted, preparer=serving.preparer, searches=True)
    if serving.serving.image is wanted.serving.image is None:
        wanted = dataclasses.replace(wanted, server_image=serving.server_image)
    return wanted


def goal_while_invalid(state: State, rollout: RolloutSettings) -> Goal | None:
    """The goal while the spec is invalid and a version is under analysis by the rules `rollout`."""
    version = state.under_analysis
    if version is None:
        return None
    return Goal(version, state.attempt, rollout, promote=state.promoted, only_roll_back=True)


def _refused(serving: ModelVersion, wanted: ModelVersion) -> Problem | None:
    """Why `wanted` cannot follow `serving`; None if it can."""
    if serving.model_name != wanted.model_name:
        return Problem(
            Reason.INVALID_SPEC,
            f"spec.model.name cannot change from {serving.model_name} to {wanted.model_name} while a version "
            "serves. Restore the name, and create another ImageClassifier for the other model.",
        )
    if serving.version == wanted.version and serving.source_hash != wanted.source_hash:
        return Problem(
            Reason.INVALID_SPEC,
            f"Version {serving.version} serves, so its source, input, output and classes cannot change. Use "
            "a new version number for the changed model, or restore the spec.",
        )
    return None
