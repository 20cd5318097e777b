"""The operator as a process: it ends by itself at SIGTERM, in whatever state it is."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from free_ports import free_port

from bare_apiserver import ControlPlane
from imageclassifier_operator.runtime.leader_election import LEASE_NAME
from operator_process import install_crd

SECONDS = 120
"""For two cores that several test runs share."""


class OperatorProcess:
    """`python -m imageclassifier_operator`, as in its image."""

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        self.probe_port = free_port()
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "POD_NAME": "operator-0",
            "POD_NAMESPACE": namespace,
            "IMAGECLASSIFIER_WATCH_NAMESPACE": namespace,
            "IMAGECLASSIFIER_GATEWAY_IMAGE": "gateway:test",
            "IMAGECLASSIFIER_PROBE_PORT": str(self.probe_port),
            "IMAGECLASSIFIER_METRICS_PORT": str(free_port()),
        }
        command = [sys.executable, "-m", "imageclassifier_operator"]
        self.process = subprocess.Popen(command, env=os.environ | environment)

    def wait_for_probe(self, path: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not self._probe(path):
            assert self.process.poll() is None, "the operator has ended"
            assert time.monotonic() < deadline, f"{path} is not answered with 200"
            time.sleep(0.05)

    def _probe(self, path: str) -> bool:
        url = f"http://127.0.0.1:{self.probe_port}{path}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as response:
            return bool(response.status == 200)
        return False

    def terminate(self) -> int:
        """Send SIGTERM, and wait for the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.fixture
def start() -> Iterator[Callable[..., OperatorProcess]]:
    started: list[OperatorProcess] = []

    def start_one(*arguments: str | Path) -> OperatorProcess:
        started.append(OperatorProcess(*arguments))  # type: ignore[arg-type]
        return started[-1]

    yield start_one
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize("backlog", [None, 0], ids=["refuses connections", "never answers"])
def test_an_operator_that_waits_for_the_api_server_ends(
    start: Callable[..., OperatorProcess], tmp_path: Path, backlog: int | None
) -> None:
    """A process with the id 1, as in a container, gets no signal that it does not handle."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if backlog is not None:
            server.listen(backlog)
        kubeconfig = tmp_path / "kubeconfig"
        cluster = {"server": f"http://127.0.0.1:{server.getsockname()[1]}"}
        document = {
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        kubeconfig.write_text(json.dumps(document))
        operator = start(kubeconfig)
        operator.wait_for_probe("/healthz")
        assert operator.terminate() == 0


@pytest.mark.apiserver
def test_a_leader_releases_its_lease_and_ends(
    start: Callable[..., OperatorProcess], apiserver: ControlPlane, namespace: str
) -> None:
    install_crd(apiserver)
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    def holders() -> list[str]:
        leases = apiserver.request("GET", path)["items"]
        return [each["spec"]["holderIdentity"] for each in leases if each["metadata"]["name"] == LEASE_NAME]

    operator = start(apiserver.kubeconfig, namespace)
    apiserver.wait_for(lambda: any(holders()), "the operator to lead")
    assert operator.terminate() == 0
    assert holders() == [""]
