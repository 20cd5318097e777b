"""Measures the gateway and a reference in the usual style, with the same fixed-answer model server.

    python tests/bench/gateway/run.py                     two processes of each, on all cores
    python tests/bench/gateway/run.py --processes 1 --cores 0      one process, gateway pinned to core 0

With --write, the figures replace those of the same setting in docs/performance.md.

Everything runs on this machine over the loopback interface. The load generator and the model server share its
cores, so the tables show CPU seconds per request beside the rates. The figure that counts is the distance to
the floor.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import report
import usage
import workloads
from servers import (
    Running,
    floor,
    load,
    start_gateways,
    start_model_server,
    start_reference,
    use_bytecode,
)

CONNECTIONS = (1, 8, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds",
        type=float,
        default=3.0,
        help="duration of each measurement in seconds (default: %(default)s)",
    )
    parser.add_argument("--runs", type=int, default=3, help="runs of each row (default: %(default)s)")
    parser.add_argument(
        "--processes",
        type=int,
        default=2,
        help="gateway processes, and workers of the reference (default: %(default)s)",
    )
    parser.add_argument("--cores", help="cores for the gateways, as for taskset (default: all)")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON to this file")
    parser.add_argument("--write", action="store_true", help=f"also update the tables in {report.PAGE.name}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes of this run are stopped
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        use_bytecode(folder / "bytecode")
        figures = measure(folder, options, stack)
    print(report.tables(figures))
    if options.write:
        report.PAGE.write_text(report.renewed(report.PAGE.read_text(), figures))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))


def measure(folder: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Measure everything; returns plain values."""
    model_port = start_model_server(folder, stack)
    paths = workloads.write(folder, stack)
    figures: dict[str, Any] = {
        "machine": usage.machine(),
        "processes": options.processes,
        "cores": options.cores,
        "seconds": options.seconds,
        "runs": options.runs,
        "floor": {name: [] for name, path in paths.items() if path.suffix == ".jpg"},
    }
    with start_gateways(folder, model_port, options) as ours:
        figures[ours.name] = at_rest(ours)
        with start_reference(folder, model_port, options) as theirs:
            figures[theirs.name] = at_rest(theirs)
            for _ in range(options.runs):
                # What a row compares is measured within seconds: the machine's speed changes in minutes.
                for name, path in paths.items():
                    if name in figures["floor"]:
                        figures["floor"][name].append(floor(model_port, path, options))
                    for connections in CONNECTIONS:
                        row = f"{name}, {connections} connection{'s' if connections > 1 else ''}"
                        for running in (ours, theirs):
                            result = measure_one(running, path, connections, model_port, options.seconds)
                            figures[running.name]["rows"].setdefault(row, []).append(result)
                            print(running.name, row, result, file=sys.stderr)
            figures[theirs.name]["after"] = usage.memory(theirs.pids)
        figures[ours.name]["after"] = usage.memory(ours.pids)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def at_rest(running: Running) -> dict[str, Any]:
    """The figures of one side before the load."""
    return {"ready_seconds": running.ready_seconds, "rest": usage.memory(running.pids), "rows": {}}


def measure_one(
    running: Running, picture: Path, connections: int, model_port: int, seconds: float
) -> dict[str, float]:
    """The figures of the load generator, the CPU time of a request, and the bytes of its call."""
    cpu = usage.cpu_seconds(running.pids)
    sent = counts(model_port)
    figures = load(running, seconds, connections, picture)
    after = counts(model_port)
    return {
        **figures,
        "cpu_ms": 1000 * (usage.cpu_seconds(running.pids) - cpu) / max(1, after[0] - sent[0]),
        "model_bytes": (after[1] - sent[1]) / max(1, after[0] - sent[0]),
    }


def counts(model_port: int) -> list[int]:
    """The number of predictions of the model server, and the bytes of their requests."""
    with grpc.insecure_channel(f"127.0.0.1:{model_port}") as channel:
        answer: list[int] = json.loads(channel.unary_unary("/bench/Counts")(b""))
    return answer


if __name__ == "__main__":
    main()
