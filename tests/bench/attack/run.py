"""Attacks the gateway, in a container with its pod's limits, while well-behaved clients use it.

    python tests/bench/attack/run.py                       every attack, 20 s each
    python tests/bench/attack/run.py --only 'URLs|heic'    those whose name matches this
    python tests/bench/attack/run.py --write               and renew the table in docs/performance.md

The attackers, the model server and the hostile web servers run on this machine beside the container. The exit
code is 1 if an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "performance.md"
sys.path += [str(REPOSITORY / part) for part in ("kind", "tests/support", "tests/bench/gateway")]

import attacks  # noqa: E402
import container  # noqa: E402
from attacks import Attack, Target  # noqa: E402
from free_ports import free_port  # noqa: E402
from good_client import Seen, Upload, picture, send_one  # noqa: E402
from pages import renewed  # noqa: E402
from report import BEGIN, END, Row, main_line, table  # noqa: E402

from images import docker  # noqa: E402
from images.build import build_base, build_program  # noqa: E402
from images.recipes import PROGRAMS  # noqa: E402
from laptop import apt, engine  # noqa: E402
from laptop.progress import StepFailed, step  # noqa: E402

_HERE = Path(__file__).parent
#: Attackers run before the good client begins, so that they have all their connections.
_HEAD_START_SECONDS = 3
_RECOVERY_SECONDS = 60
#: Attackers have other machines. Here they share the cores with the container and the good clients, which
#: come first.
_ATTACKERS_NICENESS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20, help="length of each attack (20)")
    parser.add_argument(
        "--only", default="", help="run the attacks whose name matches this regular expression"
    )
    parser.add_argument("--image", help="attack this image instead of one built from the sources")
    parser.add_argument("--write", action="store_true", help=f"renew the table in {PAGE.name}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        engine.ensure()
    except StepFailed as failed:
        print(f"Nothing was attacked. {failed}")
        return 1
    if reason := container.why_not():
        print(f"Nothing was attacked. {reason}")
        return 0
    chosen = [attack for attack in attacks.all_attacks() if re.search(options.only, attack.name)]
    if shutil.which("slowhttptest") is None and any("slowhttptest" in each.name for each in chosen):
        with step("Install slowhttptest") as current:
            apt.install(("slowhttptest",), current, "install slowhttptest")
    rows = run(options.image or build_image(), chosen, options.seconds)
    text = table(rows, machine(options.seconds))
    print(text)
    if options.write:
        PAGE.write_text(renewed(PAGE.read_text(), BEGIN, text, END))
    missed = [f"{row.name}: {miss}" for row in rows for miss in row.misses(rows[0])]
    print("\n".join(["", *(missed or ["Every aim was reached."])]))
    return 1 if missed else 0


def build_image() -> str:
    [program] = [program for program in PROGRAMS if program.name == "gateway"]
    return build_program(program, build_base())


def run(image: str, chosen: list[Attack], seconds: int) -> list[Row]:
    """One row for each attack, after one at rest."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        own_address, model_port = container.bridge_address(), free_port()
        server = REPOSITORY / "tests" / "bench" / "gateway" / "fixed_answer_server.py"
        stack.enter_context(running([sys.executable, str(server), str(model_port), own_address]))
        version = {"version": 1, "target": f"dns:///{own_address}:{model_port}", "percent": 100}
        routing = {"schema": 1, "revision": 1, "model": "bench-model", "serving": 1, "versions": [version]}
        gateway = stack.enter_context(container.running(image, routing, folder, own_address))
        target = Target(gateway.address, gateway.port, own_address, seconds + _HEAD_START_SECONDS + 5)
        rows = []
        for attack in (None, *chosen):
            recover(gateway)
            rows.append(row(gateway, attack, target, seconds))
            print(main_line(rows[-1], rows[0]), file=sys.stderr, flush=True)
            if not gateway.is_running():
                break
        return rows


def row(gateway: container.Container, attack: Attack | None, target: Target, seconds: int) -> Row:
    """The results of the good clients during one attack (or at rest), and the container's figures."""
    processes, cpu, began = gateway.processes(), gateway.cpu_seconds(), time.monotonic()
    command = ["nice", "-n", str(_ATTACKERS_NICENESS), *attack.command(target)] if attack else None
    with gateway.watched_memory() as peak, running(command):
        time.sleep(_HEAD_START_SECONDS)
        seen = good_clients(gateway, seconds, target.own_address)
    survivors = gateway.processes() if gateway.is_running() else set()
    return Row(
        name=attack.name if attack else "none",
        seen=seen,
        peak_bytes=peak[0],
        limit_bytes=gateway.memory_limit_bytes,
        cpu_seconds=gateway.cpu_seconds() - cpu if survivors else 0.0,
        seconds=time.monotonic() - began,
        deaths=len(processes - survivors),
    )


def good_clients(gateway: container.Container, seconds: int, own_address: str) -> dict[str, Seen]:
    """The results of the good clients, which run in a separate process from the attackers."""
    command = [
        sys.executable,
        str(_HERE / "good_client.py"),
        gateway.address,
        str(gateway.port),
        str(seconds),
        own_address,
        container.GOOD_HOST,
    ]
    # Its standard error stays that of this program: it says why a client has failed.
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {way: Seen.of(document) for way, document in json.loads(printed).items()}


def recover(gateway: container.Container) -> None:
    """Wait until the gateway answers several requests in a row without delay."""
    end, good, upload = time.monotonic() + _RECOVERY_SECONDS, 0, Upload("image/jpeg", picture())
    while good < 10:
        began = time.monotonic()
        is_good = send_one(gateway.address, gateway.port, upload) == "200" and time.monotonic() - began < 0.5
        good = good + 1 if is_good else 0
        if time.monotonic() > end:
            log = docker.run("logs", "--tail", "5", gateway.id)
            raise SystemExit(f"The gateway has not recovered within {_RECOVERY_SECONDS} s. Its log:\n{log}")
        time.sleep(0.1)


@contextmanager
def running(command: list[str] | None) -> Iterator[None]:
    """A program that is terminated at the end of the block."""
    if command is None:
        yield
        return
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=tempfile.gettempdir())
    try:
        yield
    finally:
        process.kill()
        process.wait()


def machine(seconds: int) -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"{os.cpu_count()} cores of {cpu.group(1) if cpu else 'an unknown processor'}, "
        f"{time.strftime('%Y-%m-%d %H:%M')}; {seconds} s for each attack; the machine's load was "
        f"{os.getloadavg()[0]:.1f} at the end."
    )


if __name__ == "__main__":
    sys.exit(main())
