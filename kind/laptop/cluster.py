"""The Kind cluster: creates, starts, repairs and deletes it.

Creating a cluster ends with writing its record. A cluster without a record was not finished: it is deleted
and created again. If its containers are stopped, because the Docker Engine stopped or the machine restarted,
the cluster is started; if that takes too long, it is created again.
"""

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from laptop import node_image, places
from laptop.cluster_health import is_at_work, make_ready
from laptop.cluster_state import (
    LAPTOP,
    Cluster,
    Record,
    decide,
    find,
    forget_record,
    read_record,
    write_record,
)
from laptop.kubernetes_programs import kind_program, kubectl_program
from laptop.progress import Step, StepFailed, output, step

_READY_SECONDS = 240


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
    make_ready(cluster)


def _create(cluster: Cluster, kind: Path, image: str, configuration: str, *, again: bool) -> None:
    with step(f"{'Recreate' if again else 'Create'} the cluster {cluster.name}", "about a minute") as current:
        forget_record(cluster)
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
        write_record(cluster, Record(image, configuration, containers))


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
    if not start and is_at_work(cluster):
        return True
    with step(f"Start the cluster {cluster.name}", "it was stopped or is still starting") as current:
        stopped = [name for name, container in find(cluster).items() if not container.running]
        if stopped and output(["docker", "start", *stopped], timeout_seconds=60) is None:
            current.found("its containers do not start")
            return False
        # The port of the API server may have changed, and the kubeconfig entry may be lost.
        output([kind, "export", "kubeconfig", f"--name={cluster.name}"])
        if not _wait(lambda: is_at_work(cluster), _READY_SECONDS):
            current.found("it does not become ready")
            return False
    return True


def use(cluster: Cluster) -> None:
    """Make the cluster the current context of kubectl."""
    output([kubectl_program(), "config", "use-context", cluster.context])


def delete(cluster: Cluster, current: Step) -> None:
    """Delete the containers of the cluster, their volumes and its kubeconfig entry."""
    if find(cluster):
        current.run([kind_program(), "delete", "cluster", f"--name={cluster.name}"], advice="Run this again.")
    forget_record(cluster)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
