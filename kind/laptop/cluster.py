"""The Kind cluster: creates, starts, repairs and deletes it.

Creating a cluster ends with writing its record. A cluster without a record was not finished: it is deleted
and created again. If its containers are stopped, because the Docker Engine stopped or the machine restarted,
the cluster is started; if that takes too long, it is created again.
"""

import json
import re
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from laptop import golang, node_image, places
from laptop.progress import Step, StepFailed, output, step

#: kubectl may be one minor version away from the API server.
KUBECTL_OLDEST, KIND_OLDEST = (1, 33), (0, 30)
_READY_SECONDS = 240


@dataclass(frozen=True)
class Cluster:
    """A cluster: its name, and the Kind configuration that describes its nodes."""

    name: str
    configuration: Path

    @property
    def context(self) -> str:
        """The kubectl context of the cluster."""
        return f"kind-{self.name}"

    @property
    def nodes(self) -> list[str]:
        """The names that Kind gives to the node containers, in the order of the configuration."""
        roles = re.findall(r"role:\s*([a-z-]+)", self.configuration.read_text(encoding="utf-8"))
        counts: dict[str, int] = {}
        names = []
        for role in roles:
            counts[role] = counts.get(role, 0) + 1
            names.append(f"{self.name}-{role}{counts[role] if counts[role] > 1 else ''}")
        return names

    @property
    def host_ports(self) -> list[int]:
        """The loopback ports of this machine that are forwarded to the cluster."""
        found = re.findall(r"hostPort:\s*(\d+)", self.configuration.read_text(encoding="utf-8"))
        return [int(port) for port in found]


LAPTOP = Cluster("imageclassifier", places.KIND / "config/one-node.yaml")
TWO_WORKERS = Cluster("imageclassifier-workers", places.KIND / "config/two-workers.yaml")


@dataclass(frozen=True)
class Record:
    """What a finished cluster was created from, and the ids of its containers."""

    node_image: str
    configuration: str
    containers: dict[str, str]


@dataclass(frozen=True)
class Found:
    """The current state of a node container."""

    id: str
    running: bool


def decide(
    nodes: Sequence[str], found: dict[str, Found], record: Record | None, image: str, configuration: str
) -> str:
    """Decide what the cluster needs: `create`, `recreate`, `start` or `nothing`."""
    if not found:
        return "create"
    if record is None or record.node_image != image or record.configuration != configuration:
        return "recreate"
    if {name: container.id for name, container in found.items()} != record.containers or set(found) != set(
        nodes
    ):
        return "recreate"
    return "nothing" if all(container.running for container in found.values()) else "start"


def kind_program() -> Path:
    """The installed kind if it is new enough, else one built from its Go module."""
    found = shutil.which("kind")
    if found and golang.parse_version(output([found, "version"]) or "") >= KIND_OLDEST:
        return Path(found)
    golang.ensure([golang.KIND])
    return golang.binary_path(golang.KIND)


def kubectl_program() -> Path:
    """The installed kubectl if its version fits 1.34, else the one in our Kubernetes program."""
    found = shutil.which("kubectl")
    version = output([found, "version", "--client", "--output=json"]) if found else None
    if found and version:
        git_version = json.loads(version)["clientVersion"]["gitVersion"]
        if golang.parse_version(git_version) >= KUBECTL_OLDEST:
            return Path(found)
    golang.ensure([golang.KUBERNETES])
    link = golang.binary_path(golang.KUBERNETES).with_name("kubectl")
    if not link.is_symlink():
        link.symlink_to("kubernetes")
    return link


def _record_path(cluster: Cluster) -> Path:
    return places.state_directory() / f"cluster-{cluster.name}.json"


def read_record(cluster: Cluster) -> Record | None:
    """The record of a finished cluster; None if it was never finished."""
    try:
        return Record(**json.loads(_record_path(cluster).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_record(cluster: Cluster, record: Record) -> None:
    path = _record_path(cluster)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    new.replace(path)


def find(cluster: Cluster) -> dict[str, Found]:
    """The existing node containers of a cluster, by name."""
    lines = output(
        [
            "docker", "ps", "--all", "--no-trunc", f"--filter=label=io.x-k8s.kind.cluster={cluster.name}",
            "--format", "{{.Names}} {{.ID}} {{.State}}",
        ]
    )  # fmt: skip
    if lines is None:
        raise StepFailed("The Docker Engine does not answer. Run this again.")
    rows = (line.split() for line in lines.splitlines())
    return {name: Found(identifier, state == "running") for name, identifier, state in rows}


def kubectl(cluster: Cluster, *arguments: str, timeout_seconds: float = 20) -> str | None:
    """Run kubectl on a cluster; returns its output, or None if it fails."""
    command: list[str | Path] = [kubectl_program(), f"--context={cluster.context}", *arguments]
    return output(command, timeout_seconds=timeout_seconds)


def ensure(cluster: Cluster = LAPTOP) -> None:
    """Make the cluster ready: nodes, DNS, default storage and metrics."""
    image = node_image.ensure_node()
    kind, _ = kind_program(), kubectl_program()
    configuration = places.digest([], [cluster.configuration])
    todo = decide(cluster.nodes, find(cluster), read_record(cluster), image, configuration)
    if todo in {"start", "nothing"} and not _comes_back(cluster, kind, start=todo == "start"):
        todo = "recreate"
    if todo in {"create", "recreate"}:
        _create(cluster, kind, image, configuration, again=todo == "recreate")
    _make_ready(cluster)


def _create(cluster: Cluster, kind: Path, image: str, configuration: str, *, again: bool) -> None:
    with step(f"{'Recreate' if again else 'Create'} the cluster {cluster.name}", "about a minute") as current:
        _record_path(cluster).unlink(missing_ok=True)
        advice = "Read the end of the log. For a clean start, run `make down` and then this again."
        current.run([kind, "delete", "cluster", f"--name={cluster.name}"], advice=advice)
        require_free(cluster.host_ports)
        current.run(
            [
                kind, "create", "cluster", f"--name={cluster.name}", f"--image={image}",
                f"--config={cluster.configuration}", "--wait=180s",
            ],
            advice=advice,
        )  # fmt: skip
        containers = {name: container.id for name, container in find(cluster).items()}
        _write_record(cluster, Record(image, configuration, containers))


def require_free(ports: Sequence[int]) -> None:
    """Raise StepFailed if a program listens on one of these loopback ports."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores connections that have ended
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise StepFailed(
                    f"Port {port} of this machine, which the gateway needs, is in use: "
                    "end the program that listens there, and run this again."
                ) from None


def _comes_back(cluster: Cluster, kind: Path, *, start: bool) -> bool:
    """Whether a finished cluster works, after its containers were started if necessary."""
    if not start and _is_at_work(cluster):
        return True
    with step(f"Start the cluster {cluster.name}", "it was stopped or is still starting") as current:
        stopped = [name for name, container in find(cluster).items() if not container.running]
        if stopped and output(["docker", "start", *stopped], timeout_seconds=60) is None:
            current.found("its containers do not start")
            return False
        # The port of the API server may have changed, and the kubeconfig entry may be lost.
        output([kind, "export", "kubeconfig", f"--name={cluster.name}"])
        if not _wait(lambda: _is_at_work(cluster), _READY_SECONDS):
            current.found("it does not become ready")
            return False
    return True


def _is_at_work(cluster: Cluster) -> bool:
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


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True


def _make_ready(cluster: Cluster) -> None:
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


def use(cluster: Cluster) -> None:
    """Make the cluster the current context of kubectl."""
    output([kubectl_program(), "config", "use-context", cluster.context])


def delete(cluster: Cluster, current: Step) -> None:
    """Delete the containers of the cluster, their volumes and its kubeconfig entry."""
    if find(cluster):
        current.run([kind_program(), "delete", "cluster", f"--name={cluster.name}"], advice="Run this again.")
    _record_path(cluster).unlink(missing_ok=True)
