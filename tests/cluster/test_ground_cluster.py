"""The laptop cluster itself: nodes, DNS, storage, Services and metrics."""

import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.cluster


def container(image: str, *command: str) -> dict[str, Any]:
    return {"name": "main", "image": image, "imagePullPolicy": "Never", "command": list(command)}


def pod(name: str, main: dict[str, Any], *volumes: dict[str, Any]) -> dict[str, Any]:
    """A Pod that runs its container once."""
    spec = {"restartPolicy": "Never", "containers": [main], "volumes": list(volumes)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(name: str, main: dict[str, Any]) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [main], "terminationGracePeriodSeconds": 0},
            },
        },
    }


def test_every_node_is_ready_and_runs_kubernetes_1_34(cluster_kubectl: Any) -> None:
    nodes = cluster_kubectl.get("nodes")["items"]
    assert nodes
    for node in nodes:
        conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.34.")


def test_a_pod_resolves_kubernetes_default(kubectl: Any, base_image: str) -> None:
    question = container(base_image, "getent", "hosts", "kubernetes.default")
    answer = kubectl.output_of(pod("resolve", question))
    address, name = answer.split()[:2]
    service = kubectl.get("service", "kubernetes", "--namespace=default")
    assert address == service["spec"]["clusterIP"]
    assert name == "kubernetes.default.svc.cluster.local"


def test_a_claim_without_a_class_binds_and_keeps_what_is_written(kubectl: Any, base_image: str) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
    }
    kubectl.apply(claim)
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    printed = []
    for name, script in (("writer", "echo kept > /data/file"), ("reader", "cat /data/file")):
        main = container(base_image, "sh", "-c", script)
        main["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        printed.append(kubectl.output_of(pod(name, main, volume)))
    assert kubectl.get("persistentvolumeclaim", "data")["status"]["phase"] == "Bound"
    assert printed == ["", "kept\n"]


# A Deployment can be available before kube-proxy knows its pod; until then the Service refuses connections.
ASK_UNTIL_ANSWERED = """
import sys, time, urllib.error, urllib.request
deadline = time.monotonic() + 60
while True:
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
        break
    except urllib.error.URLError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.5)
"""


def test_a_service_is_reached_by_name_inside_and_by_node_port_from_the_machine(
    kubectl: Any, base_image: str
) -> None:
    main = container(base_image, "python3", "-m", "http.server", "8000", "--directory", "/etc/apt")
    main["readinessProbe"] = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]},
    }
    kubectl.apply(deployment("web", main), service)
    kubectl("rollout", "status", "deployment/web", "--timeout=90s")

    client = container(base_image, "python3", "-c", ASK_UNTIL_ANSWERED, "http://web/")
    inside = kubectl.output_of(pod("client", client))
    assert inside.strip() == "200"

    port = kubectl.get("service", "web")["spec"]["ports"][0]["nodePort"]
    addresses = kubectl.get("nodes")["items"][0]["status"]["addresses"]
    node = next(one["address"] for one in addresses if one["type"] == "InternalIP")
    with urllib.request.urlopen(f"http://{node}:{port}/", timeout=20) as answer:
        assert answer.status == 200


def test_the_gateways_node_port_is_on_the_machines_loopback_alone() -> None:
    published = subprocess.run(
        ["docker", "port", "imageclassifier-control-plane", "30080/tcp"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert published.stdout.split() == ["127.0.0.1:8080"]


def test_an_autoscaler_reads_cpu_and_scales_a_busy_deployment(
    kubectl: Any, base_image: str, wait_for: Callable[..., Any]
) -> None:
    main = container(base_image, "sh", "-c", "while :; do :; done")
    main["resources"] = {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "busy"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ],
        },
    }
    kubectl.apply(deployment("busy", main), autoscaler)

    def scaled() -> bool:
        status = kubectl.get("horizontalpodautoscaler", "busy").get("status", {})
        metrics = status.get("currentMetrics") or []
        read = [
            one["resource"]["current"].get("averageUtilization", 0) for one in metrics if "resource" in one
        ]
        return bool(read) and read[0] > 50 and status.get("desiredReplicas") == 2

    wait_for(
        scaled, "the autoscaler reads more than half of the request and asks for two", timeout_seconds=180
    )
