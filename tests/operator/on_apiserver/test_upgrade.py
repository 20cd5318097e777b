"""An upgrade from the operator and the CRD of commit 48c8c3e, with an ImageClassifier in each phase.

That operator runs from its own sources, so the objects, states and statuses are its own. It ends, today's CRD
is installed, and today's operator goes on. Then `kubectl apply` gives the objects their new spelling.
"""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver import ApiError, ControlPlane
from bare_apiserver.programs import find_programs
from earlier_operator import earlier_operator, extract
from imageclassifier_operator.api import names
from imageclassifier_operator.observe.types import Counters, ShadowReport
from operator_process import Bench, PlayedGateways, RunningOperator, install_crd
from upgrade_scenarios import (
    LAST,
    SCENARIOS,
    SETTLING,
    SHADOWING,
    SHIFTING,
    Scenario,
    Spec,
    in_new_spelling,
)

pytestmark = pytest.mark.apiserver

COMMIT = "48c8c3e"
STORED = [name for name, scenario in SCENARIOS.items() if scenario.is_stored]


@dataclass(frozen=True)
class Look:
    """What one ImageClassifier has at one moment."""

    pods: frozenset[str]
    """The uids of the pods of model servers and gateways."""
    templates: dict[str, Any]
    shares: dict[int, int]
    phase: str
    serving: int | None
    failed: tuple[int, ...]
    ready: tuple[str, str]
    """Reason and message of the condition."""


def look_at(bench: Bench) -> Look:
    status, ready = bench.status(), bench.condition("Ready")
    shares: dict[int, int] = {}
    with contextlib.suppress(ApiError):  # there is none while no version serves
        shares = {each["version"]: each["percent"] for each in bench.routing()["versions"]}
    return Look(
        pods=frozenset(pod["metadata"]["uid"] for kind in ("serving", "gateway") for pod in bench.pods(kind)),
        templates={name: each["spec"]["template"] for name, each in bench.deployments().items()},
        shares=shares,
        phase=status.get("phase", ""),
        serving=status.get("servingVersion"),
        failed=tuple(each["version"] for each in status.get("failedVersions", ())),
        ready=(ready.get("reason", ""), ready.get("message", "")),
    )


def is_in_phase(bench: Bench, scenario: Scenario) -> bool:
    look = look_at(bench)
    return (look.phase, look.serving, look.failed) == (scenario.phase, scenario.serving, scenario.failed)


@dataclass
class Upgrade:
    """The ImageClassifiers by the name of their scenario, and what they had at three moments."""

    benches: dict[str, Bench]
    before: dict[str, Look]
    with_old_spelling: dict[str, Look]
    with_new_spelling: dict[str, Look]


def manifest(bench: Bench, spec: Spec) -> dict[str, Any]:
    metadata = {"name": "pizza", "namespace": bench.namespace}
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata, "spec": spec}


def apply(apiserver: ControlPlane, manifests: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    apiserver.kubectl("apply", "-f", "-", stdin=text)


def prepare(benches: dict[str, Bench]) -> None:
    """Get each ImageClassifier into its phase, with the earlier operator."""

    def prepare_one(name: str) -> None:
        bench, scenario = benches[name], SCENARIOS[name]
        scenario.prepare(bench)
        bench.wait(lambda: is_in_phase(bench, scenario), f"{name} to be in its phase")

    with ThreadPoolExecutor(len(SCENARIOS)) as threads:
        list(threads.map(prepare_one, [name for name in SCENARIOS if name != LAST]))
    prepare_one(LAST)


def wait_settled(benches: dict[str, Bench], invalid: bool) -> None:
    """Wait until the operator has told about each present spec, and reconciled each twice more."""
    for name, bench in benches.items():

        def is_told(bench: Bench = bench) -> bool:
            body, ready = bench.classifier(), bench.condition("Ready")
            is_seen = ready.get("observedGeneration") == body["metadata"]["generation"]
            return is_seen and (ready["reason"] == "InvalidSpec") == invalid

        bench.wait(is_told, f"the status of {name}")
    for round_ in range(2):
        for bench in benches.values():
            bench.wake_operator(f"{invalid} {round_}")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of the earlier commit."""
    directory = tmp_path_factory.mktemp("earlier")
    if not extract(COMMIT, "operator/src", "crds", into=directory):
        pytest.skip(f"This clone lacks commit {COMMIT}, because it is shallow. Run `git fetch --unshallow`.")
    return directory


@pytest.fixture(scope="module")
def upgrade(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """The upgrade, after which today's operator runs until the last test."""
    with contextlib.ExitStack() as stack:
        # Of its own: an API server has one CRD.
        apiserver = stack.enter_context(ControlPlane(find_programs()))
        apiserver.ensure_nodes(1)
        install_crd(apiserver, source / "crds/imageclassifiers.yaml")
        gateways = PlayedGateways(apiserver)
        gateways.counters = {1: Counters(900, 0, {"+Inf": 900})}
        benches = {
            name: Bench(apiserver, stack.enter_context(apiserver.namespace()), gateways) for name in SCENARIOS
        }
        log = tmp_path_factory.mktemp("log") / "earlier-operator.log"
        with earlier_operator(source / "operator/src", apiserver.kubeconfig, gateways, log):
            apply(apiserver, [manifest(bench, SCENARIOS[name].spec) for name, bench in benches.items()])
            prepare(benches)
        before = {name: look_at(bench) for name, bench in benches.items()}
        # More errors than the default allows, and fewer than this ImageClassifier does.
        gateways.counters[1] = Counters(9000, 0, {"+Inf": 9000})
        gateways.counters[SHIFTING] = Counters(1000, 100, {"+Inf": 1000})
        install_crd(apiserver)
        stack.enter_context(RunningOperator(apiserver.kubeconfig, gateways))
        wait_settled(benches, invalid=True)
        old = {name: look_at(bench) for name, bench in benches.items()}
        manifests = []
        for name, bench in benches.items():
            spec = {**SCENARIOS[name].spec, "model": bench.classifier()["spec"]["model"]}
            manifests.append(manifest(bench, in_new_spelling(spec)))
        apply(apiserver, manifests)
        wait_settled(benches, invalid=False)
        for name, bench in benches.items():
            bench.wait(lambda b=bench, n=name: is_in_phase(b, SCENARIOS[n]), f"{name} to be in its phase")
        new = {name: look_at(bench) for name, bench in benches.items()}
        gateways.deaf = False
        yield Upgrade(benches, before, old, new)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_upgrade_alone_restarts_no_pod_and_moves_no_traffic(upgrade: Upgrade, name: str) -> None:
    before, after = upgrade.before[name], upgrade.with_old_spelling[name]
    assert (after.pods, after.templates, after.shares) == (before.pods, before.templates, before.shares)
    assert (after.serving, after.failed) == (before.serving, before.failed)
    reason, message = after.ready
    assert reason == "InvalidSpec"
    assert "is now spec.model.source." in message


@pytest.mark.parametrize("name", STORED)
def test_a_rollout_keeps_its_phase_until_its_object_has_the_new_spelling(upgrade: Upgrade, name: str) -> None:
    assert upgrade.with_old_spelling[name].phase == upgrade.before[name].phase


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_new_spelling_restarts_no_pod_and_moves_no_traffic(upgrade: Upgrade, name: str) -> None:
    before, after = upgrade.before[name], upgrade.with_new_spelling[name]
    assert after.templates == before.templates
    assert (after.pods, after.shares) == (before.pods, before.shares)


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_rollout_is_in_its_phase_and_no_failed_version_is_retried(upgrade: Upgrade, name: str) -> None:
    before, after = upgrade.before[name], upgrade.with_new_spelling[name]
    assert (after.phase, after.serving, after.failed) == (before.phase, before.serving, before.failed)


def verifications(bench: Bench) -> set[str]:
    """The names of the pods that verify, or have verified, a version."""
    return {pod["metadata"]["name"] for pod in bench.pods("verify")}


def serves(bench: Bench, version: int) -> None:
    bench.wait(lambda: bench.status().get("servingVersion") == version, f"version {version} to serve")


@pytest.mark.parametrize("name", ["verifying", "paused"])
def test_a_version_that_is_being_verified_takes_over(upgrade: Upgrade, name: str) -> None:
    bench = upgrade.benches[name]
    bench.verify(2)
    bench.patch({"spec": {"rollout": {"paused": False}}})
    serves(bench, 2)


def test_the_first_version_that_is_being_verified_serves(upgrade: Upgrade) -> None:
    bench = upgrade.benches["first verifying"]
    bench.verify(1)
    bench.wait_ready(1)


def test_a_candidate_that_fails_more_than_its_limit_is_rolled_back(upgrade: Upgrade) -> None:
    bench = upgrade.benches["shifting"]
    bench.gateways.counters[SHIFTING] = Counters(3000, 2000, {"+Inf": 3000})
    bench.wait(lambda: bench.status().get("failedVersions"), "the failure in the status")
    assert bench.condition("Ready")["reason"] == "TooManyErrors"


def test_a_shadow_that_disagrees_is_rolled_back(upgrade: Upgrade) -> None:
    bench = upgrade.benches["shadowing"]
    bench.gateways.shadow = ShadowReport(SHADOWING, 200, 20, confusion=(("pizza", "salad", 180),))
    bench.wait(lambda: bench.status().get("failedVersions"), "the failure in the status")
    assert bench.condition("Ready")["reason"] == "Disagrees"


def test_a_promoted_version_that_fails_returns_the_traffic(upgrade: Upgrade) -> None:
    bench = upgrade.benches["settling"]
    bench.gateways.counters[SETTLING] = Counters(3000, 2000, {"+Inf": 3000})
    bench.wait(lambda: bench.status().get("failedVersions"), "the failure in the status")
    assert bench.routing()["serving"] == 1


def test_the_pods_of_a_retired_version_go(upgrade: Upgrade) -> None:
    bench = upgrade.benches[LAST]
    bench.wait(lambda: "pizza-serving-v1" not in bench.deployments(), "version 1 to be removed")
    bench.wait_phase("Stable")


def test_a_rollout_that_is_loading_can_be_aborted(upgrade: Upgrade) -> None:
    bench = upgrade.benches["loading"]
    source = {"image": {"reference": "pizza-model:{version}"}}
    bench.patch({"spec": {"model": {"version": 1, "source": source}}})
    bench.wait(lambda: "pizza-serving-v2" not in bench.deployments(), "version 2 to be removed")
    bench.wait_ready(1)
    assert bench.status().get("failedVersions", []) == []


@pytest.mark.parametrize(("name", "version"), [("refused", 2), ("first refused", 1)])
def test_a_failed_version_is_retried_when_the_user_asks_for_it(
    upgrade: Upgrade, name: str, version: int
) -> None:
    bench, before = upgrade.benches[name], verifications(upgrade.benches[name])
    bench.patch({"spec": {"rollout": {"retryToken": "again"}}})
    bench.wait(lambda: verifications(bench) - before, "a verification")
    bench.verify(version)
    serves(bench, version)
