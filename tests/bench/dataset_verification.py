"""The verification of a labelled data set against the model server stand-in: throughput, memory, and result.

    python tests/bench/dataset_verification.py models/pizza-model PICTURES --serving 1 --candidate 2
    python tests/bench/dataset_verification.py models/pizza-model PICTURES --pictures 10000

PICTURES has one folder for each class. With `--pictures`, links to them are repeated up to that number. The
model server and the program of the verification Job run as in a cluster, each in its own process. The
progress is printed as the operator would poll it, and then the figures as JSON.
"""

import argparse
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

LAUNCHER = Path(__file__).parents[2] / "model_server/src/model_server/tensorflow_model_server"
POLL_SECONDS = 5.0


def free_port() -> int:
    """A free TCP port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def model_server(base_path: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """A model server with all versions; gives its process id and address."""
    config, port = folder / "models.config", free_port()
    config.write_text(
        f'model_config_list {{ config {{ name: "{base_path.name}" base_path: "{base_path}" '
        'model_platform: "tensorflow" model_version_policy { all {} } } }'
    )
    flags = [f"--port={port}", f"--model_config_file={config}", "--enable_batching", "--grpc_max_threads=32"]
    environment = {"MODEL_SERVER_BIND_ADDRESS": "127.0.0.1", "MODEL_SERVER_PYTHON": sys.executable}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([LAUNCHER, *flags], env=os.environ | environment, stdout=log, stderr=log)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=180)
        yield server.pid, f"dns:///127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def link_pictures(pictures: Path, folder: Path, count: int | None) -> int:
    """Link pictures of all classes in turn into `folder`, up to `count`; returns how many there are."""
    classes = [sorted(each.iterdir()) for each in sorted(pictures.iterdir()) if each.is_dir()]
    files = [file for group in itertools.zip_longest(*classes) for file in group if file is not None]
    wanted = count or len(files)
    for number, file in zip(range(wanted), itertools.cycle(files), strict=False):
        (folder / file.parent.name).mkdir(exist_ok=True)
        (folder / file.parent.name / f"{number}-{file.name}").symlink_to(file.absolute())
    return wanted


def progress(port: int) -> dict[str, Any] | None:
    """What the program reports on its internal port; None while it does not listen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/progress")
        return dict(json.loads(connection.getresponse().read()))
    except OSError:
        return None
    finally:
        connection.close()


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def verify(plan: Path) -> tuple[dict[str, Any], float, Any]:
    """Run the program; returns its verdict, the seconds that it took, and its resource usage."""
    port, began = free_port(), time.monotonic()
    command = [sys.executable, "-m", "imageclassifier_gateway.verify", "--plan", str(plan)]
    with tempfile.TemporaryFile() as output:
        program = subprocess.Popen(
            command, env=os.environ | {"GATEWAY_INTERNAL_PORT": str(port)}, stdout=output
        )
        polled = began
        while True:
            pid, _, usage = os.wait4(program.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - polled >= POLL_SECONDS:
                polled = time.monotonic()
                print(progress(port), file=sys.stderr)
            time.sleep(0.1)
        output.seek(0)
        return json.loads(output.read()), time.monotonic() - began, usage


def bench(base_path: Path, pictures: Path, versions: tuple[int, int | None], count: int | None) -> Any:
    """The figures of one verification."""
    candidate, serving = versions
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "pictures").mkdir()
        total = link_pictures(pictures, folder / "pictures", count)
        with model_server(base_path, folder) as (pid, target):
            plan = {
                "schema": 1,
                "model": base_path.name,
                "candidate": {"version": candidate, "target": target},
                "serving": None if serving is None else {"version": serving, "target": target},
                "dataset": {"root": str(folder / "pictures")},
                "deadline_seconds": 7200,
            }
            (folder / "plan.json").write_text(json.dumps(plan))
            before = cpu_seconds(pid)
            verdict, seconds, usage = verify(folder / "plan.json")
            server_seconds = cpu_seconds(pid) - before
    finally:
        shutil.rmtree(folder)
    return {
        "candidate": candidate,
        "serving": serving,
        "pictures": total,
        "seconds": round(seconds, 1),
        "pictures_per_second": round(total / seconds, 1),
        "program_cpu_milliseconds_per_picture": round(1000 * (usage.ru_utime + usage.ru_stime) / total, 1),
        "server_cpu_milliseconds_per_picture": round(1000 * server_seconds / total, 1),
        "program_peak_mebibytes": round(usage.ru_maxrss / 1024),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "verdict": verdict,
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base_path", type=Path, help="a folder with numbered SavedModels")
    parser.add_argument("dataset", type=Path, help="a folder with one folder of pictures for each class")
    parser.add_argument("--candidate", type=int, default=2)
    parser.add_argument("--serving", type=int, default=1, help="0: no version serves")
    parser.add_argument("--pictures", type=int, help="how many pictures (default: each once)")
    arguments = parser.parse_args()
    versions = (arguments.candidate, arguments.serving or None)
    figures = bench(arguments.base_path.absolute(), arguments.dataset, versions, arguments.pictures)
    print(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
