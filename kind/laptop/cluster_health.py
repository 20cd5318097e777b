"""Whether a cluster works: its API server answers, its nodes report, and its own pods are ready."""

from datetime import datetime
from pathlib import Path

from laptop import places
from laptop.cluster_state import Cluster
from laptop.kubernetes_programs import kubectl_program
from laptop.progress import output, step


def kubectl(cluster: Cluster, *arguments: str, timeout_seconds: float = 20) -> str | None:
    """Run kubectl on a cluster; returns its output, or None if it fails."""
    command: list[str | Path] = [kubectl_program(), f"--context={cluster.context}", *arguments]
    return output(command, timeout_seconds=timeout_seconds)


def is_at_work(cluster: Cluster) -> bool:
    """Whether the API server answers and each kubelet has reported since its container started.

    Before a kubelet reports, the API shows the old state of its node and pods.
    """
    starts = output(["docker", "inspect", "--format", "{{.State.StartedAt}}", *cluster.nodes])
    if starts is None or not _api_answers(cluster):
        return False
    return _nodes_report_since(cluster, max(_moment(line) for line in starts.split()))


def _moment(text: str) -> datetime:
    """An RFC 3339 time in UTC, from Docker (nanoseconds) or Kubernetes (microseconds)."""
    return datetime.fromisoformat(text[:19] + "+00:00")


def _api_answers(cluster: Cluster) -> bool:
    return kubectl(cluster, "get", "--raw=/readyz", timeout_seconds=10) == "ok"


def _nodes_report_since(cluster: Cluster, moment: datetime) -> bool:
    """Whether each kubelet has renewed its lease since then."""
    template = r'{range .items[*]}{.spec.renewTime}{"\n"}{end}'
    times = kubectl(cluster, "get", "leases", "--namespace=kube-node-lease", f"--output=jsonpath={template}")
    renewed = [_moment(line) for line in (times or "").splitlines()]
    return len(renewed) >= len(cluster.nodes) and all(time_ > moment for time_ in renewed)


def make_ready(cluster: Cluster) -> None:
    """Install the metrics server, and wait for nodes, DNS, storage and metrics."""
    with step(f"Wait until {cluster.name} is ready") as current:
        program, context = kubectl_program(), f"--context={cluster.context}"
        advice = "`kubectl get pods -A` shows what is missing. For a clean start, run `make down`, then this."
        # A cluster with one node runs all pods on it.
        if len(cluster.nodes) == 1:
            output([program, context, "taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-"])
        manifest = places.KIND / "manifests/metrics-server.yaml"
        current.run(
            [program, context, "apply", "--server-side", "--force-conflicts", "-f", manifest], advice=advice
        )
        wait = "--timeout=240s"
        current.run(
            [program, context, "wait", "--for=condition=Ready", "nodes", "--all", wait], advice=advice
        )
        for namespace, name in (
            ("kube-system", "coredns"),
            ("local-path-storage", "local-path-provisioner"),
            ("kube-system", "metrics-server"),
        ):
            rollout = ["rollout", "status", f"deployment/{name}", f"--namespace={namespace}", wait]
            current.run([program, context, *rollout], advice=advice)
