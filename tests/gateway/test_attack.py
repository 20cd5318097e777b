"""A short form of `make attack` (tests/bench/attack): attacks of a few seconds on a gateway process.

A well-behaved client gets every answer, nothing dies, and memory stays within what a pod has. How long the
client waits is measured by `make attack`, on a machine that does nothing else.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_model import FakeModel
from fuzzing import children
from gateway_process import GatewayProcess
from gateway_testbed import routing

sys.path.append(str(Path(__file__).parents[1] / "bench" / "attack"))

import attacks
import container
from attacks import Attack, Target
from gateway_image import GATEWAY_ENVIRONMENT
from good_client import Seen, use, use_in_every_way

#: A pod's limit by default, of which a tenth stays free.
MAX_MEGABYTES = 0.9 * 512 * 2**20 / 1e6
SECONDS = 1.5

ATTACKS = [
    *attacks.slow_clients_of_ours(1_000),
    *attacks.idle_connections(3_000),
    *attacks.costly_bodies(2),
]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for all attacks, as its image runs it: what one leaves behind, the next one meets."""
    model = FakeModel().start()
    gateway = GatewayProcess(tmp_path_factory.mktemp("attacked"), **GATEWAY_ENVIRONMENT)
    yield gateway.start_ready(routing(model))
    gateway.stop()
    model.stop()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_good_client_gets_every_answer_under(attack: Attack, attacked: GatewayProcess) -> None:
    processes = {attacked.pid, *children(attacked.pid)}
    with running(attack.command(Target("127.0.0.1", attacked.port, "127.0.0.1", 60))):
        time.sleep(0.5)
        seen = use("127.0.0.1", attacked.port, SECONDS)
    assert not seen.failures
    assert {attacked.pid, *children(attacked.pid)} == processes, "a process died"
    assert peak_megabytes(attacked.pid) < MAX_MEGABYTES


def test_good_clients_report_how_often_each_kind_of_failure_occurred() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # free again after the block: connections are refused
    seen = use_in_every_way("127.0.0.1", port, 1.0, "127.0.0.1", "pictures.example")
    reported = {way: Seen.of(json.loads(json.dumps(each.document()))) for way, each in seen.items()}
    assert reported == seen
    assert {way: each.failures["ConnectionRefusedError"] for way, each in seen.items()} == {
        "picture": 10, "base64": 2, "form": 2, "URL": 2
    }  # fmt: skip


def test_the_attacked_container_has_the_limits_of_a_gateways_pod() -> None:
    [gateway] = container.pod()["containers"]
    assert gateway["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}
    assert gateway["securityContext"]["readOnlyRootFilesystem"]
    assert "GATEWAY_TIMEOUT_SECONDS" in {each["name"] for each in gateway["env"]}


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def peak_megabytes(pid: int) -> float:
    """The largest resident memory of a process and its children so far, in MB (10^6 bytes)."""
    peaks = 0
    for each in (pid, *children(pid)):
        status = Path(f"/proc/{each}/status").read_text()
        peaks += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return peaks * 1024 / 1e6
