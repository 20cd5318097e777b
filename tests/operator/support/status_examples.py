"""A state of each phase, and snapshots of healthy versions and gateways, for tests of the status."""

from hypothesis import strategies as st

from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    GatewaySnapshot,
    Problem,
    Snapshot,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.status.conditions import conditions
from imageclassifier_operator.status.document import Facts

FACTS = Facts(name="pizza", generation=3, now=1000.0)


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


ONE, TWO = served(1), served(2)
STATES = {
    Phase.PENDING: State(phase=Phase.PENDING),
    Phase.LOAD: State(phase=Phase.LOAD, serving=ONE, candidate=TWO),
    Phase.VERIFY: State(phase=Phase.VERIFY, serving=ONE, candidate=TWO),
    Phase.SHIFT: State(phase=Phase.SHIFT, serving=ONE, candidate=TWO, percent=10),
    Phase.SETTLE: State(phase=Phase.SETTLE, serving=TWO, previous=ONE),
    Phase.RETIRE: State(phase=Phase.RETIRE, serving=TWO),
    Phase.STABLE: State(phase=Phase.STABLE, serving=TWO),
    Phase.STOPPED: State(phase=Phase.STOPPED, serving=TWO),
}
RUNNING = [phase for phase in Phase if phase is not Phase.STOPPED]
GOAL = Goal(wanted=TWO, attempt="a")


def well(*versions: int) -> Snapshot:
    """All pods of these versions and all gateways are up and acknowledged."""
    return Snapshot(
        versions={
            v: VersionSnapshot(served(v).input_hash, complete=True, ready_pods=2, replicas=2)
            for v in versions
        },
        gateways=(GatewaySnapshot("g", ready=True),),
        gateways_complete=True,
        acknowledged_seconds=5.0,
    )


def reported(
    state: State, seen: Snapshot, goal: Goal | None = GOAL, blocked: Problem | None = None
) -> dict[str, tuple]:
    return {c.type: (c.holds, c.reason) for c in conditions(goal, state, seen, blocked)}


NOT_READ = VersionReport(ready=False, error="The model's contract is not JSON (dns:///pizza).")
WELL = VersionReport(ready=True)


def gateways(*words: VersionReport | None, ready: bool = True) -> tuple[GatewaySnapshot, ...]:
    """One gateway for each report on the serving version."""
    return tuple(GatewaySnapshot(f"g-{i}", ready, serving=word) for i, word in enumerate(words))


problems = st.sampled_from([None, Problem(Reason.OUT_OF_MEMORY, "pod p: ran out of memory", fatal=True)])
worlds = st.builds(
    Snapshot,
    versions=st.dictionaries(
        st.sampled_from([1, 2]),
        st.builds(
            VersionSnapshot,
            input_hash=st.just(""),
            complete=st.booleans(),
            ready_pods=st.integers(0, 2),
            problem=problems,
        ),
    ),
    gateways=st.lists(
        st.builds(
            GatewaySnapshot,
            pod=st.just("g"),
            ready=st.booleans(),
            serving=st.sampled_from([None, VersionReport(ready=True), VersionReport(ready=False)]),
        ),
        max_size=2,
    ).map(tuple),
    gateways_complete=st.booleans(),
    gateway_problem=problems,
    acknowledged_seconds=st.sampled_from([None, 0.0, 20.0]),
)
