"""Measures the gateway beside a reference in the usual style, against the same fixed-answer model server.

    python tests/bench/gateway/run.py                     two processes of each, on all cores
    python tests/bench/gateway/run.py --processes 1 --cores 0      one process, gateway pinned to core 0

With --write the figures replace those of the same setting in docs/performance.md.

Everything runs on this machine and over the loopback interface, load generator and model server included, so
the cores are shared: CPU seconds per request are beside the rates. The figure that counts is the distance to
the floor.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import io
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
PAGE = REPOSITORY / "docs" / "performance.md"

sys.path.insert(0, str(REPOSITORY / "kind"))
from images.recipes import PROGRAMS  # noqa: E402

#: As in its image.
GATEWAY_ENVIRONMENT = dict(
    variable.split("=", 1)
    for program in PROGRAMS
    if program.name == "gateway"
    for variable in program.environment
)
CONNECTIONS = (1, 8, 32)


@dataclass(frozen=True)
class Running:
    """A gateway under test: its ports, and the processes that are it."""

    name: str
    ports: list[int]
    pids: list[int]
    ready_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument(
        "--processes", type=int, default=2, help="gateway processes, and workers of the reference"
    )
    parser.add_argument("--cores", help="cores for the gateways, as taskset takes them; default all")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--write", action="store_true", help=f"also renew the tables in {PAGE.name}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        use_bytecode(folder / "bytecode")
        figures = measure(folder, options, stack)
    print(report(figures))
    if options.write:
        PAGE.write_text(renewed(PAGE.read_text(), figures))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))


def use_bytecode(folder: Path) -> None:
    """Lets Python keep compiled modules, as images do, whatever this shell says; and compiles them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    for modules in ("imageclassifier_gateway.app, imageclassifier_gateway.process", "reference_gateway"):
        subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=HERE, check=True, capture_output=True)


def measure(folder: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """All figures, as plain values."""
    model_port = free_port()
    started([sys.executable, HERE / "fixed_answer_server.py", str(model_port)], folder / "model.log", stack)
    grpc.channel_ready_future(grpc.insecure_channel(f"127.0.0.1:{model_port}")).result(60)
    workloads = write_workloads(folder, stack)
    figures: dict[str, Any] = {
        "machine": machine(),
        "processes": options.processes,
        "cores": options.cores,
        "seconds": options.seconds,
    }
    figures["floor"] = {
        name: floor(model_port, path, options) for name, path in workloads.items() if path.suffix == ".jpg"
    }
    for start in (start_gateways, start_reference):
        with start(folder, model_port, options) as running:
            figures[running.name] = measure_one(running, workloads, model_port, options)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def measure_one(
    running: Running, workloads: dict[str, Path], model_port: int, options: argparse.Namespace
) -> Any:
    resting = memory(running.pids)
    rows = {}
    for name, path in workloads.items():
        for connections in CONNECTIONS:
            cpu = cpu_seconds(running.pids)
            sent = counts(model_port)
            arguments = [str(options.seconds), str(connections), str(path), ",".join(map(str, running.ports))]
            output = subprocess.run(
                [sys.executable, HERE / "load.py", *arguments], check=True, capture_output=True, text=True
            ).stdout
            after = counts(model_port)
            row = f"{name}, {connections} connection{'s' if connections > 1 else ''}"
            rows[row] = {
                **json.loads(output),
                "cpu_ms": 1000 * (cpu_seconds(running.pids) - cpu) / max(1, after[0] - sent[0]),
                "model_bytes": (after[1] - sent[1]) / max(1, after[0] - sent[0]),
            }
            print(running.name, row, rows[row], file=sys.stderr)
    return {
        "ready_seconds": running.ready_seconds,
        "rest_megabytes": resting,
        "after_megabytes": memory(running.pids),
        "rows": rows,
    }


def write_workloads(folder: Path, stack: ExitStack) -> dict[str, Path]:
    """The request bodies: two pictures, and the URL of the smaller one where this machine has an address for
    it."""
    workloads = {"512 px JPEG": folder / "small.jpg", "12 MP JPEG": folder / "large.jpg"}
    workloads["512 px JPEG"].write_bytes(photo_like(512, 384))
    workloads["12 MP JPEG"].write_bytes(photo_like(4000, 3000))
    if address := private_address():
        port = stack.enter_context(picture_server(address, workloads["512 px JPEG"].read_bytes()))
        (folder / "url.json").write_text(json.dumps({"url": f"http://{address}:{port}/small.jpg"}))
        workloads["URL of it"] = folder / "url.json"
    else:
        print("no rows for a URL: loopback is refused, and no other address is here (Docker makes one)")
    return workloads


def photo_like(width: int, height: int) -> bytes:
    """A JPEG with about the detail of a photograph: clouds of several sizes and a little noise."""
    chance = np.random.default_rng(7)
    total = np.zeros((height, width, 3), dtype=np.float32)
    for cells, weight in ((4, 60), (16, 40), (64, 25), (256, 12)):
        small = chance.random((cells * 3 // 4, cells, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(small[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += weight * (np.asarray(layer) - 0.5) * 2
    noisy = np.clip(total + 128 + chance.normal(0, 3, total.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def floor(model_port: int, picture: Path, options: argparse.Namespace) -> Any:
    """The floor with as many processes as the gateways have."""
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


@contextmanager
def start_gateways(folder: Path, model_port: int, options: argparse.Namespace) -> Iterator[Running]:
    routing = {
        "schema": 1, "revision": 1, "model": "bench-model", "serving": 1,
        "versions": [{"version": 1, "target": f"dns:///127.0.0.1:{model_port}", "percent": 100}],
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


def started(
    command: list[Any], log: Path, stack: ExitStack, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A process that ends with the stack."""
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
    raise SystemExit(f"Nothing answers at port {port}.")


@contextmanager
def picture_server(address: str, picture: bytes) -> Iterator[int]:
    """Serves one picture in a thread, as cheaply as the standard library can."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(picture)))
            self.end_headers()
            self.wfile.write(picture)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()


def private_address() -> str | None:
    """An own address of this machine in a private network; a gateway never fetches from the loopback
    interface."""
    found = re.findall(r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d+)+\b", _output("hostname", "-I"))
    return found[0] if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def counts(model_port: int) -> list[int]:
    """Predictions the model server was asked for, and their bytes."""
    with grpc.insecure_channel(f"127.0.0.1:{model_port}") as channel:
        answer: list[int] = json.loads(channel.unary_unary("/bench/Counts")(b""))
    return answer


def tree(pids: list[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        found += [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


def memory(pids: list[int]) -> dict[str, float]:
    """Resident and proportional memory of all processes of a gateway, in MB (10^6 bytes)."""
    total = {"Rss": 0.0, "Pss": 0.0}
    for pid in tree(pids):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0]) * 1024 / 1e6
    return total


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in tree(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
    }


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def report(figures: dict[str, Any]) -> str:
    """The figures as Markdown tables, with ratios."""
    ours, theirs, base = figures["gateway"], figures["reference"], figures["floor"]
    machine = figures["machine"]
    lines = [
        f"{figures['processes']} process{'es' if figures['processes'] > 1 else ''} of each on "
        f"{'core ' + figures['cores'] if figures['cores'] else 'all cores'}; {machine['cores']} cores of "
        f"{machine['cpu']}, Python {machine['python']}, {machine['date']}; windows of "
        f"{figures['seconds']:g} s; the machine's load was {machine['load_before']:.1f} before and "
        f"{figures['load_after']:.1f} after.",
        "",
        "| workload | gateway req/s | p50 / p99 ms | CPU ms | reference req/s | p50 / p99 ms | CPU ms "
        "| ratio | of the floor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in ours["rows"].items():
        other = theirs["rows"][name]
        best = base.get(name.split(",")[0])
        cells = [
            name,
            f"{row['per_second']:.0f}",
            f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f}",
            f"{row['cpu_ms']:.1f}",
            f"{other['per_second']:.0f}",
            f"{other['p50_ms']:.1f} / {other['p99_ms']:.1f}",
            f"{other['cpu_ms']:.1f}",
            f"{row['per_second'] / other['per_second']:.1f}" if other["per_second"] else "-",
            f"{100 * row['per_second'] / best['per_second']:.0f} %" if best else "-",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| | gateway | reference |", "|---|---|---|"]
    rows: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("start to ready, s", lambda side: f"{side['ready_seconds']:.2f}"),
        ("memory at rest, proportional, MB", lambda side: f"{side['rest_megabytes']['Pss']:.0f}"),
        ("memory at rest, resident, MB", lambda side: f"{side['rest_megabytes']['Rss']:.0f}"),
        ("memory after the load, proportional, MB", lambda side: f"{side['after_megabytes']['Pss']:.0f}"),
        (
            "bytes to the model per picture",
            lambda side: f"{next(iter(side['rows'].values()))['model_bytes']:,.0f}",
        ),
        ("answers that were not 200", lambda side: str(sum(row["not_200"] for row in side["rows"].values()))),
    )
    for label, value in rows:
        lines.append(f"| {label} | {value(ours)} | {value(theirs)} |")
    floors = ", ".join(
        f"{name}: {row['per_second']:.0f} req/s, {row['cpu_ms']:.1f} ms CPU" for name, row in base.items()
    )
    return "\n".join([*lines, "", f"Floor: {floors}."])


def renewed(page: str, figures: dict[str, Any]) -> str:
    """The page with these figures between the markers of their setting."""
    setting = f"{figures['processes']} processes, cores {figures['cores'] or 'all'}"
    begin, end = f"<!-- figures: {setting} -->", "<!-- end of figures -->"
    before, found, rest = page.partition(begin)
    if not found:
        raise SystemExit(f"{PAGE} has no line '{begin}' to put the figures behind.")
    return f"{before}{begin}\n{report(figures)}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    main()
