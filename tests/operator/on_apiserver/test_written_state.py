"""What the operator writes on a real API server: each child once, no status twice, and nothing at rest."""

import json
from collections import Counter
from typing import Any

import pytest

from imageclassifier_operator.reconcile import status_writer
from operator_process import CLASSIFIERS, Bench, writes_of_operator

pytestmark = pytest.mark.apiserver


def without_times(status: Any) -> Any:
    """The content of a status: a write that changes only a time has told nothing new."""
    if isinstance(status, list):
        return [without_times(each) for each in status]
    if isinstance(status, dict):
        times = ("lastTransitionTime", "time")
        return {key: without_times(value) for key, value in status.items() if key not in times}
    return status


def test_from_nothing_to_ready_every_child_is_written_once_and_no_status_twice(bench: Bench) -> None:
    """Their number depends on the machine: what changes within a moment is written together."""
    since = bench.get(CLASSIFIERS)["metadata"]["resourceVersion"]
    mark = bench.apiserver.audit_mark()
    bench.create(1)
    bench.verify(1)
    bench.wait_ready(1)
    written, status = Counter[tuple[str, str, str]](), ("imageclassifiers", "status", "pizza")
    for event in writes_of_operator(bench, mark):
        target = (event.resource, event.subresource, event.name)
        # A refused status is written again, from what changed meanwhile.
        if event.resource != "pods" and (target != status or event.status_code < 300):
            written[target] += 1
    status_writes = written.pop(status)
    states = [state["status"] for state in bench.changes(CLASSIFIERS, "pizza", since) if "status" in state]
    told = [json.dumps(without_times(each), sort_keys=True) for each in states]
    # In a first rollout everything only advances, so no status comes back.
    assert len(told) == len(set(told))
    assert status_writes <= len(told), "a write changed nothing"
    assert len(written) >= 10
    assert set(written.values()) == {1}


@pytest.fixture
def no_status_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure waits to be written, so that a reconciliation that writes nothing has nothing to write."""
    monkeypatch.setattr(status_writer, "STATUS_LAG_SECONDS", 0.0)


def test_at_rest_nothing_is_written(no_status_lag: None, serving: Bench) -> None:

    def nothing_follows() -> bool:  # the last figures may still come
        mark = serving.apiserver.audit_mark()
        for note in range(3):
            serving.wake_operator(f"before {note}")
        return writes_of_operator(serving, mark) == []

    serving.wait(
        lambda: serving.deployments()["pizza-gateway"]["status"].get("availableReplicas") == 2,
        "both gateways",
    )
    serving.wait(nothing_follows, "the last figures to be written")
    mark = serving.apiserver.audit_mark()
    for note in range(3):
        serving.wake_operator(f"at rest {note}")
    assert writes_of_operator(serving, mark) == []


def test_a_deleted_classifier_leaves_nothing(serving: Bench) -> None:
    serving.apiserver.request("DELETE", f"{CLASSIFIERS.format(serving.namespace)}/pizza")
    for resource in ("apis/apps/v1/namespaces/{}/deployments", "apis/batch/v1/namespaces/{}/jobs"):
        serving.wait(lambda r=resource: serving.get(f"/{r}")["items"] == [], f"no {resource}")
    serving.wait(
        lambda: (
            [
                c
                for c in serving.get("/api/v1/namespaces/{}/configmaps")["items"]
                if c["metadata"]["name"] != "kube-root-ca.crt"
            ]
            == []
        ),
        "no ConfigMaps",
    )


def test_a_stopped_classifier_runs_no_pods_and_serves_the_same_version_again(serving: Bench) -> None:
    serving.patch({"spec": {"stopped": True}})
    serving.wait(lambda: not serving.pods("serving") and not serving.pods("gateway"), "all pods to end")
    serving.wait(lambda: serving.status().get("replicas") == 0, "the status to have no replicas")
    conditions = {each["type"]: (each["status"], each["reason"]) for each in serving.status()["conditions"]}
    assert conditions["Ready"] == conditions["Available"] == ("False", "Stopped")
    assert not conditions.keys() & {"Stalled", "Reconciling"}
    assert serving.status()["servingVersion"] == 1
    serving.patch({"spec": {"stopped": False}})
    serving.wait_ready(1)
    assert [entry["verdict"] for entry in serving.status()["history"]] == ["Promoted"]
