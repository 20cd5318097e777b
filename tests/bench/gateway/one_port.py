"""Compares one pod that has a gateway process for each core with one pod for each core.

    python tests/bench/gateway/one_port.py        prints a table in Markdown

In a pod, all processes listen on one port, and the kernel gives each new connection to one of them. In front
of pods, a Service does that; here the load generator gives them the same number of connections. The gateway
itself runs one process in each pod: for this benchmark, its processes share a port by SO_REUSEPORT.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE)]

import usage  # noqa: E402
import workloads  # noqa: E402
from pages import spread  # noqa: E402
from servers import Running, free_port, load, start_gateways, start_model_server, use_bytecode  # noqa: E402

SHARE_PORTS = """
import socket
_bind = socket.socket.bind
def bind(self, address):
    self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(self, address)
socket.socket.bind = bind
"""
CONNECTIONS = (2, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each figure (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    results: dict[tuple[str, int], list[dict[str, float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        use_bytecode(folder / "bytecode")
        (folder / "sitecustomize.py").write_text(SHARE_PORTS)
        model_port = start_model_server(folder, stack)
        picture = next(iter(workloads.write(folder, stack).values()))
        # New processes for each round: which of them gets a connection depends on their ports.
        for _ in range(options.rounds):
            for name, start in (("one port", one_port), ("a port each", a_port_each)):
                with start(folder, model_port) as running:
                    for connections in CONNECTIONS:
                        result = load(running, options.seconds, connections, picture)
                        results.setdefault((name, connections), []).append(result)
    machine = usage.machine()
    print(
        f"{machine['cores']} cores of {machine['cpu']}, Python {machine['python']}, {machine['date']}; the "
        f"medians of {options.rounds} rounds of {options.seconds:g} s, with minimum and maximum.\n"
    )
    print("| 512 px JPEG | connections | requests/s | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for (name, connections), rounds in results.items():
        cells = " | ".join(
            spread([each[key] for each in rounds]) for key in ("per_second", "p50_ms", "p99_ms")
        )
        print(f"| {name} | {connections} | {cells} |")


@contextmanager
def one_port(folder: Path, model_port: int) -> Iterator[Running]:
    """A process for each core, all on one port and on all cores."""
    options = argparse.Namespace(processes=1, cores=None)
    settings = {"PYTHONPATH": str(folder), "GATEWAY_PORT": str(free_port())}
    with ExitStack() as stack:
        each = [
            stack.enter_context(start_gateways(folder, model_port, options, settings=settings))
            for _ in cores()
        ]
        yield Running("one port", [int(settings["GATEWAY_PORT"])], [at.pids[0] for at in each], 0.0)


@contextmanager
def a_port_each(folder: Path, model_port: int) -> Iterator[Running]:
    """A process on each core, with a port of its own."""
    with ExitStack() as stack:
        each = [
            stack.enter_context(
                start_gateways(folder, model_port, argparse.Namespace(processes=1, cores=str(core)))
            )
            for core in cores()
        ]
        yield Running("a port each", [at.ports[0] for at in each], [at.pids[0] for at in each], 0.0)


def cores() -> list[int]:
    """The cores of this machine."""
    return sorted(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
