"""The API server for tests is a real one, and leaves nothing behind."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver import ApiError, ControlPlane

pytestmark = pytest.mark.apiserver

WIDGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.tests.imageclassifier.dev"},
    "spec": {
        "group": "tests.imageclassifier.dev",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "minimum": {"type": "integer"},
                                    "maximum": {"type": "integer"},
                                },
                                "x-kubernetes-validations": [
                                    {
                                        "rule": "self.minimum <= self.maximum",
                                        "message": "minimum must not exceed maximum",
                                    }
                                ],
                            }
                        },
                    }
                },
            }
        ],
    },
}


def deployment(image: str = "anything", replicas: int = 3) -> dict[str, Any]:
    labels = {"app": "web"}
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "initContainers": [{"name": "first", "image": "anything"}],
                    "containers": [{"name": "main", "image": image}],
                },
            },
        },
    }


def pods(server: ControlPlane, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = server.request("GET", f"/api/v1/namespaces/{namespace}/pods")["items"]
    return items


def test_the_pods_of_a_deployment_become_ready_on_fake_nodes(apiserver: ControlPlane, namespace: str) -> None:
    apiserver.ensure_nodes(2)
    apiserver.request("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment())
    apiserver.kubectl("wait", "-n", namespace, "--for=condition=Available", "--timeout=60s", "deployment/web")
    shown = apiserver.kubectl(
        "get", "deployment", "web", "-n", namespace, "-o", "jsonpath={.status.readyReplicas}"
    )
    assert shown == "3"
    for pod in pods(apiserver, namespace):
        assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
        assert pod["status"]["podIP"]


def test_a_pod_with_a_stalled_image_stays_pending_and_takes_the_status_a_test_writes(
    apiserver: ControlPlane, namespace: str
) -> None:
    apiserver.ensure_nodes(1)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    apiserver.request("POST", path, deployment("stalled.invalid/web:1", replicas=1))

    def is_scheduled() -> bool:
        return any(pod["spec"].get("nodeName") for pod in pods(apiserver, namespace))

    apiserver.wait_for(is_scheduled, "the pod to be scheduled", 60)
    name = pods(apiserver, namespace)[0]["metadata"]["name"]
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    status = {
        "status": {
            "containerStatuses": [
                {
                    "name": "main",
                    "image": "stalled.invalid/web:1",
                    "imageID": "",
                    "ready": False,
                    "restartCount": 0,
                    "state": {"waiting": waiting},
                }
            ]
        }
    }
    pod_path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    apiserver.request("PATCH", f"{pod_path}/status", status, "application/merge-patch+json")
    # KWOK works through its watch in order: once a later pod is Ready, it has seen this one and left it
    # alone.
    other = {"metadata": {"name": "later"}, "spec": {"containers": [{"name": "main", "image": "anything"}]}}
    apiserver.request("POST", f"/api/v1/namespaces/{namespace}/pods", other)
    apiserver.kubectl("wait", "-n", namespace, "--for=condition=Ready", "--timeout=60s", "pod/later")
    pod = apiserver.request("GET", pod_path)
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"] == waiting


@pytest.mark.parametrize(("exit_code", "condition"), [("0", "Complete"), ("3", "Failed")])
def test_the_annotation_of_its_pod_sets_the_result_of_a_job(
    apiserver: ControlPlane, namespace: str, exit_code: str, condition: str
) -> None:
    apiserver.ensure_nodes(1)
    job = {
        "metadata": {"name": "verify"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "anything"}]}
            },
        },
    }
    apiserver.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
    selector = ["-l", "batch.kubernetes.io/job-name=verify", "-n", namespace]
    apiserver.wait_for(lambda: pods(apiserver, namespace), "the job's pod", 60)
    apiserver.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod", *selector)
    message = '{"passed": false, "message": "it\'s \\"quoted\\""}'
    prefix = "kwok.imageclassifier.dev"
    apiserver.kubectl(
        "annotate",
        "pod",
        *selector,
        f"{prefix}/exit-code={exit_code}",
        f"{prefix}/termination-message={message}",
    )
    apiserver.kubectl("wait", "-n", namespace, f"--for=condition={condition}", "--timeout=60s", "job/verify")
    ended = pods(apiserver, namespace)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (int(exit_code), message)


def test_cel_rules_of_a_custom_resource_are_enforced(apiserver: ControlPlane, namespace: str) -> None:
    apiserver.kubectl("apply", "-f", "-", stdin=json.dumps(WIDGETS))
    apiserver.wait_until_established(WIDGETS["metadata"]["name"])

    def kubectl_knows_widgets() -> bool:  # Established is a moment before they are in discovery
        with suppress(RuntimeError):
            apiserver.kubectl("get", "widgets.tests.imageclassifier.dev", "-n", namespace)
            return True
        return False

    apiserver.wait_for(kubectl_knows_widgets, "widgets in discovery", 60)

    def widget(minimum: int) -> str:
        spec = {"minimum": minimum, "maximum": 5}
        kind = {"apiVersion": "tests.imageclassifier.dev/v1", "kind": "Widget", "metadata": {"name": "w"}}
        return json.dumps(kind | {"spec": spec})

    with pytest.raises(RuntimeError, match="minimum must not exceed maximum"):
        apiserver.kubectl("apply", "-n", namespace, "-f", "-", stdin=widget(6))
    apiserver.kubectl("apply", "-n", namespace, "-f", "-", stdin=widget(5))


def test_the_audit_log_counts_writes_by_field_manager(apiserver: ControlPlane, namespace: str) -> None:
    mark = apiserver.audit_mark()
    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
    path = f"/api/v1/namespaces/{namespace}/configmaps/c?fieldManager=someone"
    for _ in range(2):
        apiserver.request("PATCH", path, configmap, "application/apply-patch+yaml")
    apiserver.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/c")
    events = [event for event in apiserver.audit_events(since=mark) if event.namespace == namespace]
    writes = [event for event in events if event.is_write and event.field_manager == "someone"]
    assert [(event.verb, event.resource, event.status_code) for event in writes] == [
        ("patch", "configmaps", 201),
        ("patch", "configmaps", 200),
    ]
    assert [event.verb for event in events if event.name == "c" and not event.is_write] == ["get"]


def test_a_service_account_may_do_what_rbac_grants_and_nothing_else(
    apiserver: ControlPlane, namespace: str
) -> None:
    kubeconfig = apiserver.kubeconfig_of_service_account(namespace, "default")
    with pytest.raises(RuntimeError, match="forbidden"):
        apiserver.kubectl("get", "pods", "-n", namespace, "--kubeconfig", str(kubeconfig))
    apiserver.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", "-n", namespace)
    apiserver.kubectl(
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        f"--serviceaccount={namespace}:default",
        "-n",
        namespace,
    )

    def may_list() -> bool:  # the server hears of the binding a moment after it has stored it
        with suppress(RuntimeError):
            apiserver.kubectl("get", "pods", "-n", namespace, "--kubeconfig", str(kubeconfig))
            return True
        return False

    apiserver.wait_for(may_list, "the account to list pods", 60)


def test_a_client_behind_the_proxy_is_disconnected_while_the_server_keeps_running(
    apiserver: ControlPlane, namespace: str
) -> None:
    with apiserver.proxy() as proxy:
        arguments = (
            "get",
            "configmaps",
            "-n",
            namespace,
            "--kubeconfig",
            str(apiserver.kubeconfig_for(proxy)),
        )
        apiserver.kubectl(*arguments)
        proxy.sever()
        context = ssl.create_default_context(cafile=str(apiserver.certificate))
        with pytest.raises(OSError, match=r"reset|EOF"):
            urllib.request.urlopen(f"https://127.0.0.1:{proxy.port}/version", context=context, timeout=10)
        apiserver.kubectl("get", "configmaps", "-n", namespace)
        proxy.restore()
        apiserver.kubectl(*arguments)


def test_two_servers_are_independent_and_one_restarts_with_its_data(
    apiserver: ControlPlane, start_apiserver: Callable[[], ControlPlane]
) -> None:
    other = start_apiserver()
    assert other.port != apiserver.port
    other.request("POST", "/api/v1/namespaces", {"metadata": {"name": "only-here"}})
    with pytest.raises(ApiError) as refusal:
        apiserver.request("GET", "/api/v1/namespaces/only-here")
    assert refusal.value.status_code == 404

    other.request("POST", "/api/v1/namespaces", {"metadata": {"name": "later"}})
    old = other.request("GET", "/api/v1/namespaces/only-here")["metadata"]["resourceVersion"]
    other.kill("kube-apiserver")
    with pytest.raises(ConnectionRefusedError):
        other.request("GET", "/version")
    other.start("kube-apiserver")
    assert other.request("GET", "/api/v1/namespaces/only-here")["metadata"]["resourceVersion"] == old
    event = other.request("GET", f"/api/v1/namespaces?watch=true&timeoutSeconds=5&resourceVersion={old}")
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_the_certificate_passes_strict_verification(apiserver: ControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(apiserver.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    request = urllib.request.Request(f"{apiserver.url}/version")
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:
        assert json.load(answer)["major"] == "1"


# A shell that runs the tests in the background makes them ignore SIGINT; a user's Ctrl-C needs the default.
KILLED = """
import signal, time
from bare_apiserver import ControlPlane, find_programs
signal.signal(signal.SIGINT, signal.default_int_handler)
with ControlPlane(find_programs()) as server:
    server.ensure_nodes(1)
    print(server.directory, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_the_python_process_is_ended(end: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the control plane did not start: see its error above"
        directory = Path(line.strip())
        started = processes_in(directory)
        assert len(started) >= 5
        process.send_signal(end)
    deadline = time.monotonic() + 30
    while directory.exists() or processes_in(directory):
        assert time.monotonic() < deadline, f"left: {directory}, {processes_in(directory)}"
        time.sleep(0.05)


def processes_in(directory: Path) -> list[int]:
    """The ids of the processes that have `directory` in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command_line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in command_line:
            found.append(int(entry.name))
    return found


def test_starting_one_component_rewrites_no_file_that_another_may_be_reading(
    start_apiserver: Callable[[], ControlPlane],
) -> None:
    """On a busy machine the controller manager found its kubeconfig empty, and ended."""
    server = start_apiserver()

    def written() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in server.directory.glob("*.kubeconfig")}

    before = written()
    server.kill("kube-scheduler")
    server.start("kube-scheduler")
    assert len(before) == 4
    assert written() == before
