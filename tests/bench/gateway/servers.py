"""Starts the gateways, the reference and the floor, and waits until they are ready."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]

sys.path[:0] = [str(REPOSITORY / "kind"), str(REPOSITORY / "tests" / "support")]
from gateway_image import GATEWAY_ENVIRONMENT  # noqa: E402


class DidNotStartError(SystemExit):
    """A server does not answer."""


@dataclass(frozen=True)
class Running:
    """A gateway under test: its ports and its processes."""

    name: str
    ports: list[int]
    pids: list[int]
    ready_seconds: float


def use_bytecode(folder: Path) -> None:
    """Let Python use compiled modules, as in the images, and compile them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    for modules in ("imageclassifier_gateway.api.app, imageclassifier_gateway.process", "reference_gateway"):
        subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=HERE, check=True, capture_output=True)


@contextmanager
def start_gateways(
    folder: Path,
    model_port: int,
    options: argparse.Namespace,
    model: str = "bench-model",
    settings: Mapping[str, str] | None = None,
    calls: int | None = None,
) -> Iterator[Running]:
    """Start gateways for version 1 of a model that a server on this machine has.

    `calls`: what the operator says of the calls that the server works on at once.
    """
    version = {"version": 1, "target": f"dns:///127.0.0.1:{model_port}", "percent": 100}
    routing = {
        "schema": 1, "revision": 1, "model": model, "serving": 1,
        "versions": [version | ({} if calls is None else {"calls": calls})],
    }  # fmt: skip
    (folder / "routing.json").write_text(json.dumps(routing))
    with ExitStack() as stack:
        ports, pids, ready = [], [], []
        for number in range(options.processes):
            port, internal_port = free_port(), free_port()
            environment = {
                **os.environ,
                **GATEWAY_ENVIRONMENT,
                "GATEWAY_ROUTING_FILE": str(folder / "routing.json"),
                "GATEWAY_PORT": str(port),
                "GATEWAY_INTERNAL_PORT": str(internal_port),
                "GATEWAY_CPU_LIMIT": "1",
                "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS": "true",
                **(settings or {}),
            }
            command = [*pinned(options), sys.executable, "-m", "imageclassifier_gateway"]
            began = time.monotonic()
            process = started(command, folder / f"gateway-{number}.log", stack, environment)
            wait_for(internal_port, "/readyz")
            ready.append(time.monotonic() - began)
            ports.append(port)
            pids.append(process.pid)
        yield Running("gateway", ports, pids, max(ready))


@contextmanager
def start_reference(folder: Path, model_port: int, options: argparse.Namespace) -> Iterator[Running]:
    port = free_port()
    command = [
        *pinned(options), sys.executable, "-m", "gunicorn", "--chdir", HERE, "--workers",
        str(options.processes), "--worker-class", "sync", "--timeout", "120", "--bind",
        f"127.0.0.1:{port}", "reference_gateway:app",
    ]  # fmt: skip
    environment = {**os.environ, "MODEL_TARGET": f"127.0.0.1:{model_port}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with ExitStack() as stack:
        began = time.monotonic()
        process = started(command, folder / "reference.log", stack, environment)
        wait_for(port, "/ready")
        yield Running("reference", [port], [process.pid], time.monotonic() - began)


def start_model_server(folder: Path, stack: ExitStack) -> int:
    """Start the model server that returns the same bytes for every prediction; returns its port."""
    port = free_port()
    started([sys.executable, HERE / "fixed_answer_server.py", str(port)], folder / "model.log", stack)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(60)
    return port


def load(running: Running, seconds: float, connections: int, picture: Path) -> dict[str, float]:
    """Send a picture again and again; returns the figures of the load generator."""
    arguments = [str(seconds), str(connections), str(picture), ",".join(map(str, running.ports))]
    output = subprocess.run(
        [sys.executable, HERE / "load.py", *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def floor(model_port: int, picture: Path, options: argparse.Namespace) -> Any:
    """Measure the floor with as many processes as gateways."""
    command = [
        *pinned(options),
        sys.executable,
        str(HERE / "floor.py"),
        str(model_port),
        str(picture),
        str(options.seconds),
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(options.processes)]
    results = [json.loads(process.communicate()[0]) for process in processes]
    return {
        "per_second": sum(result["per_second"] for result in results),
        "cpu_ms": 1000 * sum(result["cpu_seconds"] for result in results) / len(results),
    }


def started(
    command: list[Any], log: Path, stack: ExitStack, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that ends with the stack."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, env=environment)

    def end() -> None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


def pinned(options: argparse.Namespace) -> list[str]:
    return ["taskset", "--cpu-list", options.cores] if options.cores else []


def wait_for(port: int, path: str, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.01)
    raise DidNotStartError(f"{path} on port {port} does not answer after {seconds:g} s.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
