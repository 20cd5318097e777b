"""What a cluster is, what exists of it, and what it needs: configuration, containers, and the record.

The record is written when a cluster is finished. A cluster without a record was not finished.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from laptop import places
from laptop.progress import StepFailed, output


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


def _record_path(cluster: Cluster) -> Path:
    return places.state_directory() / f"cluster-{cluster.name}.json"


def read_record(cluster: Cluster) -> Record | None:
    """The record of a finished cluster; None if it was never finished."""
    try:
        return Record(**json.loads(_record_path(cluster).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(cluster: Cluster, record: Record) -> None:
    """Record that the cluster is finished."""
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


def forget_record(cluster: Cluster) -> None:
    """Delete the record: the cluster is not finished, or it is gone."""
    _record_path(cluster).unlink(missing_ok=True)
