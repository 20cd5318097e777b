"""How kstatus (Flux, Helm, Config Sync) and Argo CD interpret the status: their own code, our scripts."""

from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator.api import ImageSource, ModelVersion, ServingSettings
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import GatewaySnapshot, Problem, Snapshot, VersionSnapshot
from imageclassifier_operator.rollout import Goal
from imageclassifier_operator.rollout.state import FailedVersion, Phase, State
from imageclassifier_operator.status.document import Facts, status
from install_checkers import gitops


def served(version: int) -> ModelVersion:
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), ServingSettings(), None, "tf")


ONE, TWO = served(1), served(2)
GOAL = Goal(wanted=TWO, attempt="a")
START = 1000.0
FATAL = Problem(Reason.MODEL_LOAD_FAILED, "Container model-server cannot load the model.", fatal=True)
PASSING = Problem(Reason.IMAGE_PULL_FAILED, "Container model-files cannot pull its image.")
BLOCKED = Problem(Reason.CONFLICT, "Service pizza-gateway belongs to somebody else.")
FAILED = (FailedVersion(2, "a", "AcceptanceFailed", "The salad is no pizza.", START),)
LOADING_FIRST = State(phase=Phase.LOAD, candidate=TWO, since=START)
LOADING_SECOND = State(phase=Phase.LOAD, serving=ONE, candidate=TWO, since=START)


def world(problem: Problem | None = None, complete: bool = True) -> Snapshot:
    """Versions 1 and 2 with their pods, and gateways that have acknowledged the routing."""
    two = VersionSnapshot(TWO.input_hash, complete, ready_pods=int(complete), problem=problem)
    return Snapshot(
        versions={1: VersionSnapshot(ONE.input_hash, complete=True, ready_pods=1), 2: two},
        gateways=(GatewaySnapshot("g", ready=True),),
        gateways_complete=True,
        acknowledged_seconds=5.0,
    )


def document(
    state: State,
    snapshot: Snapshot,
    goal: Goal | None = GOAL,
    blocked: Problem | None = None,
    seconds: float = 1.0,
) -> dict[str, Any]:
    """The status."""
    facts = Facts(name="pizza", generation=3, now=START + seconds, blocked=blocked)
    return status(facts, goal, state, snapshot)


def classifier(observed: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """An ImageClassifier with this status."""
    return {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": "pizza", "namespace": "food", "generation": 3, **metadata},
        "spec": {"model": {"version": 2}},
        "status": observed,
    }


def conditions_of(observed: dict[str, Any]) -> dict[str, Any]:
    return {each["type"]: each for each in observed["conditions"]}


STARTING = world(complete=False)
CASES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "the wanted version serves": ("Current", (State(phase=Phase.STABLE, serving=TWO), world())),
    "the previous version is kept warm": (
        "Current",
        (State(phase=Phase.SETTLE, serving=TWO, previous=ONE, attempt="a"), world()),
    ),
    "the first version loads": ("InProgress", (LOADING_FIRST, STARTING)),
    "the first version waits for its image": ("InProgress", (LOADING_FIRST, world(PASSING, complete=False))),
    "the first version cannot load": ("Failed", (LOADING_FIRST, world(FATAL, complete=False))),
    "the first version takes too long": ("Failed", (LOADING_FIRST, STARTING, GOAL, None, 600.0)),
    "the first version failed its verification": ("Failed", (State(failed=FAILED), world())),
    "a candidate loads": ("InProgress", (LOADING_SECOND, STARTING)),
    "a candidate that cannot load is about to be rolled back": (
        "InProgress",
        (LOADING_SECOND, world(FATAL, complete=False)),
    ),
    "a canary step": ("InProgress", (replace(LOADING_SECOND, phase=Phase.SHIFT, percent=10), world())),
    "a paused rollout": (
        "InProgress",
        (replace(LOADING_SECOND, phase=Phase.VERIFY, clock_stopped_since=START), world()),
    ),
    "the candidate was rolled back": (
        "Failed",
        (State(phase=Phase.RETIRE, serving=ONE, failed=FAILED), world()),
    ),
    "the serving version lost its pods": (
        "InProgress",
        (State(phase=Phase.STABLE, serving=TWO), world(complete=False)),
    ),
    "new settings of the serving version do not start": (
        "Failed",
        (State(phase=Phase.STABLE, serving=TWO), world(FATAL, complete=False)),
    ),
    "the classifier is stopped": (
        "InProgress",
        (State(phase=Phase.STOPPED, serving=TWO), Snapshot(), replace(GOAL, stopped=True)),
    ),
    "another object has the name of a child": (
        "Failed",
        (State(phase=Phase.STABLE, serving=TWO), world(), GOAL, BLOCKED),
    ),
    "the spec is invalid": (
        "Failed",
        (
            State(phase=Phase.STABLE, serving=TWO),
            world(),
            None,
            Problem(Reason.INVALID_SPEC, "It is invalid."),
        ),
    ),
    "the source of the serving version changed": (
        "Failed",
        (State(phase=Phase.STABLE, serving=TWO), world(), replace(GOAL, refused=BLOCKED)),
    ),
}


SUSPENDED = {"a paused rollout", "the classifier is stopped"}
HEALTH = {"Current": "Healthy", "InProgress": "Progressing", "Failed": "Degraded"}


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """What both make of each case."""
    objects = [classifier(document(*arguments)) for _, arguments in CASES.values()]
    return dict(zip(CASES, gitops(objects), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_kstatus_distinguishes_progress_from_failure(case: str, results: dict[str, dict[str, Any]]) -> None:
    expected, arguments = CASES[case]
    assert results[case]["kstatus"] == expected
    conditions = conditions_of(document(*arguments))
    if case == "the classifier is stopped":
        assert conditions["Ready"]["reason"] == "Stopped"
        assert not conditions.keys() & {"Reconciling", "Stalled"}
        return
    present = {"Current": set(), "InProgress": {"Reconciling"}, "Failed": {"Stalled"}}[expected]
    assert conditions.keys() & {"Reconciling", "Stalled"} == present


@pytest.mark.parametrize("case", CASES)
def test_argo_cd_shows_the_same_and_what_somebody_has_halted(
    case: str, results: dict[str, dict[str, Any]]
) -> None:
    expected, arguments = CASES[case]
    conditions = conditions_of(document(*arguments))
    said = conditions["Stalled" if expected == "Failed" else "Ready"]["message"]
    health = "Suspended" if case in SUSPENDED else HEALTH[expected]
    assert results[case]["health"] == {"status": health, "message": said}


def test_a_spec_that_the_operator_has_not_observed_is_in_progress() -> None:
    of_the_crd = {"observedGeneration": -1}  # the default of the status
    serves = document(State(phase=Phase.STABLE, serving=TWO), world())
    for found in gitops([classifier(of_the_crd), classifier(serves, generation=4)]):
        assert (found["kstatus"], found["health"]["status"]) == ("InProgress", "Progressing")


def test_stalled_has_the_reason_and_what_to_do() -> None:
    conditions = conditions_of(document(State(phase=Phase.RETIRE, serving=ONE, failed=FAILED), world()))
    assert conditions["Stalled"]["reason"] == "AcceptanceFailed"
    assert "To retry, change the spec" in conditions["Stalled"]["message"]


def test_a_first_version_that_takes_too_long_reports_its_cause() -> None:
    conditions = conditions_of(document(LOADING_FIRST, world(PASSING, complete=False), seconds=600.0))
    assert conditions["Stalled"]["reason"] == "ImagePullFailed"
    assert conditions["Stalled"]["message"] == (
        "Version 2 did not begin to serve within 600 s: Container model-files cannot pull its image."
    )
