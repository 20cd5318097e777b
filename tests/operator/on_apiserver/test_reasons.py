"""Each state of pods, and each verdict, has its reason in the status, on a real API server.

The ImageClassifiers of a table exist at the same time, each in a namespace of its own, so that they take
little longer than one.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from broken_pods import LOAD_ERROR, container, crashed, waiting
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe import patience
from imageclassifier_operator.observe.types import AccessReport
from operator_process import Bench, PlayedGateways

pytestmark = pytest.mark.apiserver

STALLED = {"image": "stalled.invalid/server:1"}
"""The fake nodes leave the pods of this image as they are."""
ARCHIVE = {"https": {"url": "https://models.example.org/{version}.tar.gz", "sha256": "a" * 64}}
MERGE = "application/merge-patch+json"
NOW = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Case:
    """A spec, and what happens to the pods of its model servers."""

    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None
    warning: tuple[str, str] | None = None
    """The reason and the message of an Event about each pod."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)


def of_server(status: Mapping[str, Any], kind: str = "containerStatuses") -> dict[str, Any]:
    """The status of a pod with the status of one of its containers."""
    return {kind: [{"imageID": "", "restartCount": 1, **status}]}


PODS: dict[Reason, Case] = {
    Reason.LOADING: Case(),
    Reason.IMAGE_PULL_FAILED: Case(status=of_server(waiting("ImagePullBackOff", "Back-off pulling image"))),
    Reason.ADMISSION_REFUSED: Case(
        {
            "serving": {
                "template": {"spec": {"volumes": [{"name": "a", "nfs": {"server": "b", "path": "/c"}}]}}
            }
        },
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
    ),
    Reason.VOLUME_FAILED: Case(warning=("FailedMount", "rpc error: no such share")),
    Reason.CONTAINER_CONFIG_INVALID: Case(
        status=of_server(waiting("CreateContainerConfigError", 'secret "tokens" not found'))
    ),
    Reason.MODEL_DOWNLOAD_FAILED: Case(
        {"model": {"version": 1, "source": ARCHIVE}},
        of_server(crashed(name="model-files", code=4, message="404"), "initContainerStatuses"),
    ),
    Reason.MODEL_LOAD_FAILED: Case(status=of_server(crashed(message=LOAD_ERROR))),
    Reason.OUT_OF_MEMORY: Case(status=of_server(crashed("OOMKilled", code=137))),
    Reason.CONTAINER_CRASHED: Case(status=of_server(crashed(code=132))),
    Reason.POD_EVICTED: Case(status={"reason": "Evicted", "message": "The node was low on memory."}),
    Reason.NODE_LOST: Case(status=of_server({**container(), "ready": True})),
    Reason.NOT_ANSWERING: Case(
        status=of_server({**container(), "started": True, "state": {"running": {"startedAt": NOW}}})
    ),
}

VERDICTS: dict[Reason, int] = {
    Reason.ACCEPTANCE_FAILED: 1,
    Reason.GOLDEN_FAILED: 1,
    Reason.CONTRACT_INVALID: 1,
    Reason.CLASSES_CHANGED: 1,
    Reason.DATASET_INVALID: 1,
    Reason.VERIFICATION_FAILED: 2,
}
"""The reasons of a verification, with its exit code."""


@pytest.fixture
def benches(apiserver: Any, gateways: PlayedGateways) -> Iterator[Callable[[], Bench]]:
    """Makes benches, each with a namespace of its own."""
    with ExitStack() as stack:
        yield lambda: Bench(apiserver, stack.enter_context(apiserver.namespace()), gateways)


def change_pods(bench: Bench, case: Case) -> None:
    """Let what the case says happen to the pods of the model servers."""
    pods = f"/api/v1/namespaces/{bench.namespace}/pods"
    bench.wait(lambda: bench.pods("serving"), "the pods")
    for pod in bench.pods("serving"):
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if case.status is not None:
            bench.apiserver.request("PATCH", f"{pods}/{name}/status", {"status": case.status}, MERGE)
        if case.warning is not None:
            reason, message = case.warning
            event = {
                "metadata": {"name": name},
                "involvedObject": {"kind": "Pod", "namespace": bench.namespace, "name": name, "uid": uid},
                "type": "Warning",
                "reason": reason,
                "message": message,
            }
            bench.apiserver.request("POST", f"/api/v1/namespaces/{bench.namespace}/events", event)


def wait_reasons(benches: Mapping[Reason, Bench], kind: str) -> None:
    """Wait until the condition of each bench has the reason of its row."""
    for reason, bench in benches.items():
        bench.wait(lambda b=bench, r=reason: b.condition(kind).get("reason") == r, f"{kind} with {reason}")


def test_the_status_names_what_keeps_pods_from_being_ready(
    benches: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "ORDINARY_SECONDS", {})
    rows = {reason: benches() for reason in PODS}
    for reason, bench in rows.items():
        case = PODS[reason]
        labels = {"metadata": {"labels": case.namespace_labels}}
        bench.apiserver.request("PATCH", f"/api/v1/namespaces/{bench.namespace}", labels, MERGE)
        serving = {**STALLED, **case.spec.get("serving", {})}
        bench.create(1, **{**case.spec, "serving": serving})
    for reason, bench in rows.items():
        if PODS[reason].status is not None or PODS[reason].warning is not None:
            change_pods(bench, PODS[reason])
    wait_reasons(rows, "Ready")


def test_the_status_names_what_a_verification_found(benches: Callable[[], Bench]) -> None:
    rows = {reason: benches() for reason in VERDICTS}
    for bench in rows.values():
        bench.create(1)
    for reason, bench in rows.items():
        verdict = {"schema": 1, "passed": False, "reason": reason, "message": "why", "cases": []}
        bench.verify(1, json.dumps(verdict), exit_code=VERDICTS[reason])
    wait_reasons(rows, "Ready")
    for reason, bench in rows.items():
        failed = [each["reason"] for each in bench.status().get("failedVersions", ())]
        assert failed == ([reason] if VERDICTS[reason] == 1 else [])


def restart(bench: Bench, component: str, version: int = 0, *, limit: int | None = None) -> None:
    """Let containers of these pods start again, as after a reboot. Nothing is wrong."""
    for pod in _pods_of(bench, component, version)[:limit]:
        creating = {"waiting": {"reason": "ContainerCreating"}}
        _set_containers(bench, pod, "False", {"ready": False, "started": False, "state": creating})


def finish(bench: Bench, component: str) -> None:
    """Let the containers of these pods be ready again."""
    for pod in _pods_of(bench, component, 0):
        running = {"running": {"startedAt": NOW}}
        _set_containers(bench, pod, "True", {"ready": True, "started": True, "state": running})


def _pods_of(bench: Bench, component: str, version: int) -> list[dict[str, Any]]:
    """The pods of a component, or only those of one version."""
    wanted = {"imageclassifier.dev/version": str(version)} if version else {}
    return [pod for pod in bench.pods(component) if wanted.items() <= pod["metadata"]["labels"].items()]


def _set_containers(bench: Bench, pod: Mapping[str, Any], ready: str, state: Mapping[str, Any]) -> None:
    containers = [
        {"name": each["name"], "image": each["image"], "imageID": "", "restartCount": 0, **state}
        for each in pod["spec"]["containers"]
    ]
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": NOW}
    path = f"/api/v1/namespaces/{bench.namespace}/pods/{pod['metadata']['name']}/status"
    status = {"conditions": [condition], "containerStatuses": containers}
    bench.apiserver.request("PATCH", path, {"status": status}, MERGE)


def wait_reason(bench: Bench, kind: str, reason: Reason) -> None:
    bench.wait(lambda: bench.condition(kind).get("reason") == reason, f"{kind} with {reason}")


def test_the_status_names_what_is_waited_for_while_pods_start_again(serving: Bench) -> None:
    restart(serving, "serving")
    wait_reason(serving, "Available", Reason.NO_READY_PODS)
    finish(serving, "serving")
    serving.wait_ready(1)
    restart(serving, "gateway")
    wait_reason(serving, "Available", Reason.GATEWAY_STARTING)
    finish(serving, "gateway")
    serving.wait_ready(1)
    restart(serving, "gateway", limit=1)
    wait_reason(serving, "GatewayReady", Reason.UPDATING)
    assert serving.condition("Available")["status"] == "True"


def test_the_status_names_each_step_of_a_rollout(bench: Bench) -> None:
    bench.create(1, rollout={"keepPreviousSeconds": 600}, gateway={"timeoutSeconds": 1})
    wait_reason(bench, "Available", Reason.NO_VERSION_SERVES)
    bench.verify(1)
    bench.wait_ready(1)
    bench.gateways.deaf = True
    bench.bump(2)
    wait_reason(bench, "Progressing", Reason.VERIFYING)
    bench.verify(2)
    wait_reason(bench, "Progressing", Reason.AWAITING_GATEWAYS)
    bench.gateways.deaf = False
    wait_reason(bench, "Progressing", Reason.SETTLING)
    bench.gateways.deaf = True
    bench.patch({"spec": {"rollout": {"keepPreviousSeconds": 0}}})
    wait_reason(bench, "Progressing", Reason.RETIRING)
    bench.gateways.deaf = False
    wait_reason(bench, "Progressing", Reason.AT_REST)


def test_a_candidate_that_does_not_load_in_time_is_rolled_back(serving: Bench) -> None:
    model = {"version": 2, "source": {"image": {"reference": "stalled.invalid/model:{version}"}}}
    serving.patch({"spec": {"model": model, "rollout": {"progressDeadlineSeconds": 1}}})
    wait_reason(serving, "Progressing", Reason.PROGRESS_DEADLINE_EXCEEDED)
    assert serving.status()["servingVersion"] == 1


def test_a_candidate_whose_pods_do_not_come_back_is_rolled_back(serving: Bench) -> None:
    serving.patch({"spec": {"rollout": {"steps": [{"percent": 50, "durationSeconds": 600}]}}})
    serving.bump(2)
    serving.verify(2)
    serving.wait_phase("Shift")
    serving.patch({"spec": {"rollout": {"progressDeadlineSeconds": 1}}})
    restart(serving, "serving", 2)
    wait_reason(serving, "Progressing", Reason.CANDIDATE_UNAVAILABLE)
    assert serving.status()["servingVersion"] == 1


@pytest.mark.parametrize(
    ("access", "reason"),
    [
        (AccessReport(needs_key=True, error="alice has no hash"), Reason.API_KEYS_UNUSABLE),
        (AccessReport(certificate_error="tls.crt is no certificate"), Reason.CERTIFICATE_UNUSABLE),
    ],
)
def test_the_status_names_what_a_gateway_reports_on_its_secrets(
    serving: Bench, access: AccessReport, reason: Reason
) -> None:
    serving.gateways.access = access
    serving.patch({"spec": {"gateway": {"replicas": 1}}})  # the gateways are probed after each change of pods
    wait_reason(serving, "GatewayReady", reason)
    serving.gateways.access = AccessReport()
