"""The gateway in a container with the limits, the environment and the rights that its pod gets by default.

They come from the Deployment that the operator renders, so that the attacked gateway is that of a cluster.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageclassifier_operator.api.classifier import parse
from imageclassifier_operator.api.quantity import cores
from imageclassifier_operator.render.gateway import gateway_deployment
from imageclassifier_operator.render.shared_parts import USER_ID, Installation
from images import docker

#: The name, in the container, of the server that good clients let the gateway fetch from. The fetcher limits
#: what one site gets, and an address would be the same site as that of the attackers' servers.
GOOD_HOST = "pictures.example"
_CGROUPS = Path("/sys/fs/cgroup")
_SAMPLE_SECONDS = 0.02
_CLASSIFIER = {
    "metadata": {"name": "attacked", "namespace": "default", "uid": "0", "generation": 1},
    "spec": {
        "model": {"name": "bench-model", "version": 1, "source": {"image": {"reference": "none"}}},
        # The hostile servers have addresses of this machine.
        "gateway": {"urls": {"allowPrivateNetworks": True}},
    },
}


@dataclass(frozen=True)
class Container:
    """A running gateway, and the files in which the kernel counts what it uses."""

    id: str
    address: str
    port: int
    internal_port: int
    memory_limit_bytes: int
    memory: Path
    cpu: Path

    def memory_bytes(self) -> int:
        """The memory of the container now, without the file pages that the kernel can drop."""
        fields = dict(line.split() for line in (self.memory / "memory.stat").read_text().splitlines())
        usage = "memory.current" if _unified() else "memory.usage_in_bytes"
        inactive = fields.get("total_inactive_file", fields.get("inactive_file", "0"))
        return int((self.memory / usage).read_text()) - int(inactive)

    def cpu_seconds(self) -> float:
        if _unified():
            fields = dict(line.split() for line in (self.cpu / "cpu.stat").read_text().splitlines())
            return int(fields["usage_usec"]) / 1e6
        return int((self.cpu / "cpuacct.usage").read_text()) / 1e9

    def processes(self) -> set[int]:
        """The process ids of the container. If one is missing later, that process has died."""
        return {int(line) for line in (self.memory / "cgroup.procs").read_text().split()}

    def is_running(self) -> bool:
        state = docker.run("inspect", "--format", "{{.State.Running}}", self.id)
        return state.strip() == "true"

    @contextmanager
    def watched_memory(self) -> Iterator[list[int]]:
        """A list with one value: the peak of the memory so far."""
        peak, stopped = [self.memory_bytes()], threading.Event()

        def watch() -> None:
            while not stopped.wait(_SAMPLE_SECONDS):
                try:
                    peak[0] = max(peak[0], self.memory_bytes())
                except OSError:  # the container is gone
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield peak
        finally:
            stopped.set()
            watcher.join()


def pod() -> dict[str, Any]:
    """The pod of a gateway as the operator makes it by default, with URLs of private networks allowed."""
    installation = Installation(gateway_image="none", operator_namespace="default")
    spec: dict[str, Any] = gateway_deployment(parse(_CLASSIFIER), installation, 1)["spec"]["template"]["spec"]
    return spec


@contextmanager
def running(image: str, routing: dict[str, Any], folder: Path, own_address: str) -> Iterator[Container]:
    """Run the gateway's image as its pod would. In it, GOOD_HOST resolves to `own_address`."""
    [container] = pod()["containers"]
    limits = container["resources"]["limits"]
    environment = {each["name"]: each.get("value", limits["cpu"]) for each in container["env"]}
    memory_bytes = _bytes(limits["memory"])
    routing_file = Path(environment["GATEWAY_ROUTING_FILE"])
    (folder / routing_file.name).write_text(json.dumps(routing))
    folder.chmod(0o755)
    arguments = [
        "run", "--detach", "--read-only", "--tmpfs", "/tmp", "--user", f"{USER_ID}:{USER_ID}",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--memory", str(memory_bytes), "--memory-swap", str(memory_bytes),
        "--cpus", str(cores(limits["cpu"])),
        "--add-host", f"{GOOD_HOST}:{own_address}",
        "--volume", f"{folder}:{routing_file.parent}:ro",
    ]  # fmt: skip
    for name, value in environment.items():
        arguments += ["--env", f"{name}={value}"]
    identifier = docker.run(*arguments, image).strip()
    try:
        address = docker.run("inspect", "--format", "{{.NetworkSettings.IPAddress}}", identifier).strip()
        yield Container(
            identifier,
            address,
            int(environment["GATEWAY_PORT"]),
            int(environment["GATEWAY_INTERNAL_PORT"]),
            memory_bytes,
            _cgroup("memory", identifier),
            _cgroup("cpuacct", identifier),
        )
    finally:
        docker.run("rm", "--force", identifier)


def bridge_address() -> str:
    """The address of this machine in the containers' network."""
    template = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}}{{end}}"
    gateway, _, subnet = (
        docker.run("network", "inspect", "--format", template, "bridge").strip().rpartition(" ")
    )
    # Docker names the gateway only where it was configured; otherwise it is the first address.
    return gateway.strip() or str(next(ipaddress.ip_network(subnet).hosts()))


def why_not() -> str | None:
    """Why this machine cannot run a container or read its usage; None if it can."""
    try:
        subprocess.run(["docker", "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "Docker does not answer: `make images` starts it where it can."
    return None if _CGROUPS.is_dir() else "The containers' figures are not in /sys/fs/cgroup."


def _unified() -> bool:
    return (_CGROUPS / "cgroup.controllers").exists()


def _cgroup(controller: str, identifier: str) -> Path:
    """The directory of a container's control group, for each of Docker's drivers."""
    top = _CGROUPS if _unified() else _CGROUPS / controller
    found = [top / "docker" / identifier, top / "system.slice" / f"docker-{identifier}.scope"]
    for path in found:
        if path.is_dir():
            return path
    raise SystemExit(f"The container's figures are in none of {', '.join(map(str, found))}.")


def _bytes(quantity: str) -> int:
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(quantity[:-2]) * units[quantity[-2:]]
