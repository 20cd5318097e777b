"""Nodes are not to blame: what happens to a worker fails no rollout, in any phase, and loses no request.

The gateways, the operator and every version 1 run on the control plane. Version 2 of each ImageClassifier
runs on a worker, with one pod. One classifier for each phase stands there when the worker is drained, its
pods are evicted, it is lost, or it reboots. `make workers-test` brings the cluster up and runs this.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cluster_testbed import Classifier, Kubectl, Wait, make_tiny_models, plain_picture, tiny_classifier
from laptop import product
from laptop.cluster_state import TWO_WORKERS
from laptop.traffic import Tally

pytestmark = pytest.mark.workers

CONTROL_PLANE, OTHER, VICTIM = TWO_WORKERS.nodes
MODEL = "nodes-test"
AN_HOUR = 3600
ROLLOUTS: dict[str, dict[str, Any]] = {
    "Load": {"keepPreviousSeconds": AN_HOUR},
    "Verify": {"paused": True, "steps": [{"percent": 50, "durationSeconds": AN_HOUR}]},
    "Shift": {"steps": [{"percent": 50, "durationSeconds": AN_HOUR}]},
    "Settle": {"keepPreviousSeconds": AN_HOUR},
    "Stable": {"keepPreviousSeconds": 0},
}
"""How each rollout is made to stay in a phase. The one called Load starts again for each disruption."""
SOON = [
    {
        "key": f"node.kubernetes.io/{taint}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 5,
    }
    for taint in ("not-ready", "unreachable")
]
"""Kubernetes replaces the pods of a lost node after these seconds, not after its default of 5 minutes."""
WITHOUT_ANOTHER_VERSION = ("Stable",)
"""No other version answers for these, so a lost node loses requests."""


@dataclass
class Nodes:
    """The cluster, its classifiers by the phase they stand in, and what the disruptions did."""

    kubectl: Kubectl
    wait_for: Wait
    classifiers: dict[str, Classifier]
    newest: int = 1
    report: list[str] = field(default_factory=list)

    def allow(self, *nodes: str) -> None:
        """New pods go to these nodes."""
        for node in TWO_WORKERS.nodes:
            self.kubectl("uncordon" if node in nodes else "cordon", node)

    def ask_for(self, phase: str, version: int) -> None:
        spec = {"spec": {"model": {"version": version}, "rollout": ROLLOUTS[phase]}}
        name = self.classifiers[phase].name
        self.kubectl("patch", "imageclassifier", name, "--type=merge", f"--patch={json.dumps(spec)}")

    def pods(self, phase: str, version: int) -> list[dict[str, Any]]:
        name = self.classifiers[phase].name
        labels = f"app.kubernetes.io/instance={name},app.kubernetes.io/component=serving"
        found = self.kubectl.get("pods", f"--selector={labels},imageclassifier.dev/version={version}")
        return list(found["items"])

    def wait_on(self, node: str, phase: str, version: int, *, ready: bool = True) -> None:
        """Until a pod of the version is on this node, and ready."""

        def is_there() -> bool:
            return any(
                pod["spec"].get("nodeName") == node and (not ready or _is_ready(pod))
                for pod in self.pods(phase, version)
                if "deletionTimestamp" not in pod["metadata"]
            )

        self.wait_for(is_there, f"{phase}: version {version} on {node}")

    def wait_phase(self, phase: str) -> None:
        def has_arrived() -> bool:
            status = self.classifiers[phase].status()
            if phase == "Verify" and status.get("verification", {}).get("version") != 2:
                return False
            return bool(status["phase"] == phase)

        self.wait_for(has_arrived, f"the phase {phase}")

    def evict(self, phase: str, version: int) -> None:
        for pod in self.pods(phase, version):
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": namespace},
            }
            path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
            self.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(body))

    def move_to_victim(self) -> None:
        """Evict the new versions, so that they start on the node that is disrupted next."""
        self.allow(VICTIM)
        for phase in HELD:
            if not self._is_on(VICTIM, phase, 2):
                self.evict(phase, 2)
        for phase in HELD:
            self.wait_on(VICTIM, phase, 2)

    def start_loading(self) -> None:
        """A candidate whose pod is bound to the node, and not ready yet. What serves stays on the control
        plane."""
        self.allow(CONTROL_PLANE)
        if not self._is_on(CONTROL_PLANE, "Load", self.newest):
            self.evict("Load", self.newest)
        self.wait_on(CONTROL_PLANE, "Load", self.newest)
        self.allow(VICTIM)
        self.newest += 1
        self.ask_for("Load", self.newest)
        self.wait_on(VICTIM, "Load", self.newest, ready=False)
        self.allow(VICTIM, OTHER)

    @contextmanager
    def disruption(self, name: str) -> Iterator[None]:
        """Requests to all classifiers meanwhile. Afterwards each goes on where it was, and nobody failed."""
        before = {phase: _place(self.classifiers[phase].status()) for phase in HELD}
        picture, tallies, began = plain_picture(215), {}, time.monotonic()
        with contextlib.ExitStack() as stack:
            for phase, classifier in self.classifiers.items():
                tallies[phase] = stack.enter_context(classifier.requests(picture, per_second=2))
            yield
            for phase in HELD:
                classifier = self.classifiers[phase]
                self.wait_for(
                    lambda c=classifier: c.condition("Available").get("status") == "True", f"{phase}: answers"
                )
            self.classifiers["Load"].wait_ready(self.newest)
            time.sleep(15)  # what the disruption brought about would be judged by now
        for phase in self.classifiers:
            self.report.append(f"{name}, {phase}: {self._outcome(phase)}; {tallies[phase].summary()}")
        self.report.append(f"{name}: {time.monotonic() - began:.0f} s")
        for phase in HELD:
            assert _place(self.classifiers[phase].status()) == before[phase], self.report
        self._check(name, tallies)

    def _is_on(self, node: str, phase: str, version: int) -> bool:
        return any(
            pod["spec"].get("nodeName") == node
            for pod in self.pods(phase, version)
            if "deletionTimestamp" not in pod["metadata"]
        )

    def _outcome(self, phase: str) -> str:
        status = self.classifiers[phase].status()
        failed = [
            f"{each['version']} {each['reason']}: {each['message']}"
            for each in status.get("failedVersions", [])
        ]
        return f"{status['phase']} {_place(status)}, failed versions: {failed or 'none'}"

    def _check(self, name: str, tallies: dict[str, Tally]) -> None:
        for phase, classifier in self.classifiers.items():
            assert "failedVersions" not in classifier.status(), self.report
            if phase in WITHOUT_ANOTHER_VERSION and name in ("lost", "reboot"):
                continue
            assert tallies[phase].failures == [], self.report


HELD = [phase for phase in ROLLOUTS if phase != "Load"]


def _place(status: dict[str, Any]) -> tuple[str, Any, Any]:
    return status["phase"], status.get("servingVersion"), status.get("candidatePercent")


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def nodes(workers_kubectl: Kubectl, wait_for: Wait) -> Iterator[Nodes]:
    kubectl = workers_kubectl
    models = make_tiny_models({f"{MODEL}:{version}": "good" for version in range(1, 6)})
    images = product.ensure_images(models, TWO_WORKERS)
    taint = "node-role.kubernetes.io/control-plane"
    taints = kubectl.get("node", CONTROL_PLANE)["spec"].get("taints", [])
    if any(each["key"] == taint for each in taints):  # a cordoned node has a taint too
        kubectl("taint", "nodes", CONTROL_PLANE, f"{taint}-")
    names = {phase: f"in-{phase.lower()}" for phase in ROLLOUTS}
    found = Nodes(kubectl, wait_for, {p: Classifier(kubectl, wait_for, name) for p, name in names.items()})
    found.allow(CONTROL_PLANE)
    if "imageclassifiers" in kubectl("api-resources", "--output=name"):
        kubectl("delete", "imageclassifier", *names.values(), "--ignore-not-found", "--wait")
    product.install(images, TWO_WORKERS)
    source = {"image": {"reference": f"{MODEL}:{{version}}"}}
    model = {"name": MODEL, "version": 1, "source": source}
    small = tiny_classifier("any", model)["spec"]["gateway"]
    # One loaded machine plays three nodes: with less time, requests would fail for want of CPU.
    gateway = {**small, "timeoutSeconds": 10}
    template = {"spec": {"tolerations": SOON}}
    serving = {**tiny_classifier("any", model)["spec"]["serving"], "template": template}
    kubectl.apply(*(tiny_classifier(n, model, gateway=gateway, serving=serving) for n in names.values()))
    for classifier in found.classifiers.values():
        classifier.wait_ready(1)
    found.allow(VICTIM)
    for phase in HELD:
        found.ask_for(phase, 2)
    for phase in HELD:
        found.wait_phase(phase)
        found.wait_on(VICTIM, phase, 2)
    yield found
    print("\n" + "\n".join(found.report))


def test_a_drain_fails_no_version_and_loses_no_request(nodes: Nodes) -> None:
    nodes.start_loading()
    with nodes.disruption("drain"):
        options = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=240s")
        nodes.kubectl("drain", VICTIM, *options, timeout_seconds=300)
        for phase in HELD:
            nodes.wait_on(OTHER, phase, 2)


def test_an_eviction_fails_no_version_and_loses_no_request(nodes: Nodes) -> None:
    nodes.start_loading()
    with nodes.disruption("eviction"):
        nodes.evict("Load", nodes.newest)
        nodes.move_to_victim()
        nodes.allow(VICTIM, OTHER)


def test_a_lost_node_fails_no_version(nodes: Nodes) -> None:
    nodes.move_to_victim()
    nodes.start_loading()
    try:
        with nodes.disruption("lost"):
            docker("kill", VICTIM)
            for phase in HELD:
                nodes.wait_on(OTHER, phase, 2)
    finally:
        docker("start", VICTIM)
        nodes.kubectl("wait", "--for=condition=Ready", f"node/{VICTIM}", "--timeout=110s")


def test_a_reboot_fails_no_version(nodes: Nodes) -> None:
    nodes.move_to_victim()
    nodes.start_loading()
    with nodes.disruption("reboot"):
        docker("restart", "--time=30", VICTIM)
        nodes.wait_for(
            lambda: not any(_is_ready(p) for p in nodes.pods("Shift", 2)), "the node to be down", 60
        )
        for phase in HELD:
            nodes.wait_for(
                lambda phase=phase: any(map(_is_ready, nodes.pods(phase, 2))), f"{phase}: a ready pod"
            )


def test_an_hour_long_step_ends_when_it_is_promoted_after_all_that(nodes: Nodes) -> None:
    name = nodes.classifiers["Shift"].name
    nodes.kubectl("annotate", "imageclassifier", name, "imageclassifier.dev/promote=now", "--overwrite")
    nodes.wait_for(lambda: nodes.classifiers["Shift"].status()["servingVersion"] == 2, "version 2 to serve")
