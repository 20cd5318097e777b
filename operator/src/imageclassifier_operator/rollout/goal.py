"""What the user wants, in the form in which it is decided on."""

import dataclasses
from dataclasses import dataclass, field

from imageclassifier_operator.api import ImageClassifier, RolloutSettings, ServedVersion, Step, names
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.api.served_version import digest
from imageclassifier_operator.observe.types import Problem
from imageclassifier_operator.rollout.state import State

PROMOTE_ANNOTATION = f"{names.GROUP}/promote"
RETRY_ANNOTATION = f"{names.GROUP}/retry"


@dataclass(frozen=True)
class Goal:
    """The version that is asked for, and how to get there.

    `attempt` hashes everything that the outcome depends on: the version's inputs, the rollout's rules (but
    not `pause`, which only stops the clock) and the retry annotation. A version that failed under one
    attempt is left alone until the attempt is another. Replicas are no part of it. `refused`: why the spec
    cannot be acted on; `wanted` is then what serves already, and a rollout under way is abandoned: nobody
    asks for its candidate any more.
    """

    wanted: ServedVersion
    attempt: str
    rollout: RolloutSettings = field(default_factory=RolloutSettings)
    promote: str = ""
    request_seconds: float = 10.0
    """No request that a gateway has begun lasts longer."""
    refused: Problem | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps before the last, which is always 100 percent."""
        return tuple(step for step in self.rollout.steps if step.percent < 100)

    def step(self, percent: int) -> Step | None:
        """The step that a share of `percent` is held by; None when the spec has no steps.

        The steps may have changed meanwhile: then it is the last one up to that share, or the first of all.
        """
        reached = [step for step in self.steps if step.percent <= percent]
        return next(iter([*reversed(reached), *self.steps]), None)

    def next_percent(self, percent: int) -> int:
        return next((step.percent for step in self.steps if step.percent > percent), 100)


def goal_of(ic: ImageClassifier, default_serving_image: str, state: State) -> Goal:
    """The goal that `ic` states, seen from `state`.

    The version that serves is immutable: other files under its number, or another input, output or other
    classes, are refused. Its settings may change in place.
    """
    wanted = ic.candidate(default_serving_image)
    refused = None
    serving = state.serving
    if serving is not None and (refused := _refused(serving, wanted)) is not None:
        wanted = serving
    elif serving is not None and serving.input_hash == wanted.input_hash:
        wanted = serving  # with the server image of its time: an operator upgrade restarts nothing
    elif state.candidate is not None and state.candidate.input_hash == wanted.input_hash:
        wanted = state.candidate
    elif (
        serving is not None
        and serving.version == wanted.version
        and serving.serving.image is wanted.serving.image is None
    ):
        # Other settings of the version that serves are no reason to give it another model server.
        wanted = dataclasses.replace(wanted, server_image=serving.server_image)
    rules = dataclasses.asdict(dataclasses.replace(ic.rollout, pause=False))
    return Goal(
        wanted=wanted,
        attempt=digest([wanted.input_hash, rules, ic.annotations.get(RETRY_ANNOTATION, "")]),
        rollout=ic.rollout,
        promote=ic.annotations.get(PROMOTE_ANNOTATION, ""),
        request_seconds=float(ic.gateway.timeout_seconds),
        refused=refused,
    )


def _refused(serving: ServedVersion, wanted: ServedVersion) -> Problem | None:
    """Why nothing may come after `serving` in the way that `wanted` asks for."""
    if serving.model_name != wanted.model_name:
        return Problem(
            Reason.INVALID_SPEC,
            f"spec.model.name cannot change from {serving.model_name} to {wanted.model_name} while a version "
            "serves: put it back as it was, and make another ImageClassifier for another model",
        )
    if serving.version == wanted.version and serving.source_hash != wanted.source_hash:
        return Problem(
            Reason.INVALID_SPEC,
            f"version {serving.version} serves, so its source, input, output and classes cannot change: "
            "give the new ones a new version number, or put the spec back as it was",
        )
    return None
