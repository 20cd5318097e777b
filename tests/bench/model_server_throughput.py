"""Throughput of the model server against its own SavedModel called in a loop.

    python tests/bench/model_server_throughput.py MODEL_BASE_PATH [--connections 8] [-- FLAG...]

The highest version below MODEL_BASE_PATH is called directly, one picture at a time in one thread, and through
the server on several connections at once. The two take turns, so that a busy machine slows both. The ratio
counts (the median of the rounds); the aim is at least 0.8 at 8 connections. Flags after `--` go to the
server. The figures are printed as JSON.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np

LAUNCHER = Path(__file__).parents[2] / "model_server/src/model_server/tensorflow_model_server"
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_server(base_path: Path, flags: list[str]) -> tuple["subprocess.Popen[bytes]", str, float]:
    """Start the server; returns it, its address and the seconds until its port opened."""
    port = free_port()
    start = time.monotonic()
    process = subprocess.Popen(
        [LAUNCHER, f"--port={port}", f"--model_base_path={base_path}", "--grpc_max_threads=32", *flags],
        env=os.environ | {"MODEL_SERVER_BIND_ADDRESS": "127.0.0.1", "MODEL_SERVER_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=180)
    return process, address, time.monotonic() - start


def run_for(seconds: float, call: Callable[[], object], latencies: list[float]) -> None:
    """Call repeatedly for this time, and record the seconds of each call."""
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        call()
        latencies.append(time.monotonic() - start)


def connections(address: str, count: int, request: bytes) -> list[Callable[[], object]]:
    """Functions that send a serialized request, each over its own connection. Responses stay bytes."""

    def connect() -> Callable[[], object]:
        channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        predict = channel.unary_unary(PREDICT)
        return lambda: predict(request, timeout=60)

    return [connect() for _ in range(count)]


def measure(calls: list[Callable[[], object]], seconds: float) -> tuple[float, list[float]]:
    """Run the calls in parallel, each in a thread; returns the calls per second and the seconds of each."""
    latencies: list[list[float]] = [[] for _ in calls]
    threads = [
        threading.Thread(target=run_for, args=(seconds, call, own))
        for call, own in zip(calls, latencies, strict=True)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flat = [value for own in latencies for value in own]
    return len(flat) / (time.monotonic() - start), flat


def memory_mebibytes(pid: int) -> float:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def bench(
    base_path: Path, connection_count: int, rounds: int, seconds: float, flags: list[str]
) -> dict[str, Any]:
    """Measure the direct loop and the server in turn; returns the figures."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    version = max(int(path.name) for path in base_path.iterdir() if path.name.isdigit())
    model = tf.saved_model.load(str(base_path / str(version)))
    signature = model.signatures["serving_default"]
    (name, spec), *_ = signature.structured_input_signature[1].items()
    shape = (1, *spec.shape[1:])
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(spec.dtype.as_numpy_dtype)
    tensor = tf.constant(pixels)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs[name].dtype = spec.dtype.as_datatype_enum
    request.inputs[name].tensor_content = pixels.tobytes()
    for size in shape:
        request.inputs[name].tensor_shape.dim.add(size=size)

    process, address, start_seconds = start_server(base_path, flags)
    try:
        calls = connections(address, connection_count, request.SerializeToString())
        direct = [lambda: signature(**{name: tensor})]
        for warm_up in (direct, calls):
            measure(warm_up, 1.0)
        direct_rates, server_rates, latencies = [], [], []
        for _ in range(rounds):
            direct_rates.append(measure(direct, seconds)[0])
            rate, seconds_of_calls = measure(calls, seconds)
            server_rates.append(rate)
            latencies += seconds_of_calls
        memory = memory_mebibytes(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    ratios = [server / loop for server, loop in zip(server_rates, direct_rates, strict=True)]
    return {
        "model": base_path.name,
        "version": version,
        "connections": connection_count,
        "flags": flags,
        "ratio_to_direct_loop": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "direct_per_second": round(statistics.median(direct_rates), 1),
        "server_per_second": round(statistics.median(server_rates), 1),
        "server_p50_milliseconds": round(1000 * float(np.percentile(latencies, 50)), 1),
        "server_p99_milliseconds": round(1000 * float(np.percentile(latencies, 99)), 1),
        "server_start_seconds": round(start_seconds, 1),
        "server_memory_mebibytes": round(memory),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base_path", type=Path, help="a folder with numbered SavedModels")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("flags", nargs="*", help="flags of the server, after --")
    arguments = parser.parse_args()
    figures = bench(
        arguments.base_path.absolute(),
        arguments.connections,
        arguments.rounds,
        arguments.seconds,
        arguments.flags,
    )
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
