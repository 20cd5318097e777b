"""The table of conditions: what each phase means for them while pods and gateways are healthy. Pure.

The reference documentation prints this table, and a test holds it against every phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.rollout.state import Phase, State

CONDITIONS = ("Available", "Ready", "Progressing", "PredictorReady", "GatewayReady")


@dataclass(frozen=True)
class Condition:
    """One condition of the status. `holds`: True, False, or None for Unknown."""

    type: str
    holds: bool | None
    reason: Reason
    message: str


@dataclass(frozen=True)
class PhaseConditions:
    """The conditions in one phase.

    `available`, `ready`, `progressing`: the status of the condition. `reason`: that of Progressing, and of
    Ready while it is False. `message`: a template.
    """

    available: bool
    ready: bool
    progressing: bool
    reason: Reason
    message: str

    def filled_in(self, state: State) -> str:
        """The message with the versions and the percentage of `state`."""
        return self.message.format(
            candidate=_number(state.candidate),
            serving=_number(state.serving),
            previous=_number(state.previous),
            percent=state.percent,
        )


PHASE_CONDITIONS: Mapping[Phase, PhaseConditions] = {
    Phase.PENDING: PhaseConditions(False, False, False, Reason.NO_VERSION_SERVES, "No version serves."),
    Phase.LOAD: PhaseConditions(True, False, True, Reason.LOADING, "Version {candidate} is loading."),
    Phase.VERIFY: PhaseConditions(
        True, False, True, Reason.VERIFYING, "Version {candidate} is being verified."
    ),
    Phase.SHIFT: PhaseConditions(
        True, False, True, Reason.SHIFTING, "Version {candidate} gets {percent} % of the traffic."
    ),
    Phase.SETTLE: PhaseConditions(
        True, True, True, Reason.SETTLING, "Version {serving} serves. Version {previous} is kept warm."
    ),
    Phase.RETIRE: PhaseConditions(
        True, True, True, Reason.RETIRING, "Version {serving} serves. Other versions are being removed."
    ),
    Phase.STABLE: PhaseConditions(True, True, False, Reason.AT_REST, "Version {serving} serves."),
    Phase.STOPPED: PhaseConditions(
        False,
        False,
        False,
        Reason.STOPPED,
        "The classifier is stopped. To start it, set spec.stopped to false.",
    ),
}
"""The conditions of each phase. `available` needs a serving version, and `ready` the wanted one."""


def _number(version: ModelVersion | None) -> str:
    return "none" if version is None else str(version.version)
