"""Measures one operator with many ImageClassifiers: time, memory, CPU and requests, beside a floor.

    make bench-scale                                   100 and 1,000 classifiers, about ten minutes
    make bench-scale ARGUMENTS="--objects 5000 --write"   also renew the table in docs/performance.md

Everything runs on this machine: a bare API server (`make kubernetes`), KWOK's fake pods, and one process that
plays all gateways at their pods' addresses. The operator is its own process, with the account and the
environment of its installation. Pods are ready at once and verifications pass at once, so only the
work of the operator and of Kubernetes is measured. It needs Linux, and root for the addresses of the pods.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[3]
sys.path[:0] = [str(REPOSITORY / path) for path in ("kind", "tests/apiserver", "tests/support")]

import floor  # noqa: E402
from api import Api  # noqa: E402
from classifiers import Classifiers, Namespaces, name_of  # noqa: E402
from free_ports import free_port  # noqa: E402
from installed_operator import USER, InstalledOperator, install  # noqa: E402
from processes import Cpu  # noqa: E402
from report import Figures, Times, renew_page, show  # noqa: E402

from bare_apiserver import AuditEvent, ControlPlane, find_programs  # noqa: E402
from bare_apiserver.fake_nodes import STAGES  # noqa: E402

VERIFICATION = Path(__file__).with_name("verification-passed.yaml").read_text(encoding="utf-8")
POD_NETWORK = "198.18.0.1/15"
"""The network for benchmarks (RFC 2544). The API server refuses endpoints with loopback addresses."""
REQUESTS_PER_SECOND = 1000
"""By each controller of Kubernetes. With the usual 20 they would be what is measured."""
PODS_OF_EACH, PODS_OF_A_NODE = 6, 9000
SETTLE_SECONDS = 15
STEPS_WHILE_IT_RUNS = ("rest", "bumps", "busy", "rollbacks")
STEPS = ("floor", "children", *STEPS_WHILE_IT_RUNS, "start")


class Gateways:
    """The process that plays all gateways."""

    def __init__(self, kubeconfig: Path) -> None:
        self._port = free_port()
        program = [sys.executable, str(Path(__file__).with_name("gateways.py")), str(kubeconfig)]
        self.process = subprocess.Popen([*program, str(self._port)])

    def behave(self, silent: list[str], failing: dict[str, int]) -> None:
        """Set the failures of gateways (gateways.py)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/behaviour",
            json.dumps({"silent": silent, "failing": failing}).encode(),
            method="PUT",
        )
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def pod_network() -> Iterator[None]:
    """Make every address of the pods' network one of this machine, until the block ends."""
    route = ["local", str(ipaddress.ip_interface(POD_NETWORK).network), "dev", "lo"]
    try:
        subprocess.run(["ip", "route", "replace", *route], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"Cannot add a route for the pods ({error}). It needs `ip` and root.") from None
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "del", *route], check=False)


@contextmanager
def control_plane(objects: int) -> Iterator[ControlPlane]:
    """A new control plane with enough fake nodes."""
    stages = f"{STAGES}\n---\n{VERIFICATION}"
    with ControlPlane(find_programs(), stages, POD_NETWORK, REQUESTS_PER_SECOND) as server:
        server.ensure_nodes(1 + objects * PODS_OF_EACH // PODS_OF_A_NODE)
        yield server


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `work` in the background of the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


async def keep_running(operator: InstalledOperator) -> None:
    """Restart the operator whenever it ends."""
    while True:
        operator.restart_if_it_ended()
        await asyncio.sleep(0.5)


@contextmanager
def new_namespaces(server: ControlPlane, count: int) -> Iterator[Namespaces]:
    """New namespaces, over which the classifiers are spread."""
    with ExitStack() as stack:
        yield Namespaces([stack.enter_context(server.namespace()) for _ in range(count)])


async def measure_plain_client(
    objects: int, namespaces: int, manifests: floor.Manifests
) -> tuple[float, dict[str, float]]:
    """The seconds and the CPU seconds of a client that only POSTs objects."""
    with control_plane(objects) as server, new_namespaces(server, namespaces) as places:
        async with Api(server.kubeconfig) as api:
            cpu = Cpu(server.process_ids)
            seconds = await floor.measure(api, places, objects, manifests)
            return seconds, cpu.used()


def counted(events: list[AuditEvent]) -> Counter[str]:
    """The operator's requests: `verb resource` -> requests, without watches and its Lease."""
    return Counter(
        f"{event.verb} {'/'.join(filter(None, (event.resource, event.subresource)))}"
        for event in events
        if event.user == USER and event.verb != "watch" and event.resource != "leases"
    )


class Run:
    """All measurements with one number of classifiers, one after the other."""

    def __init__(self, server: ControlPlane, places: Namespaces, api: Api, figures: Figures) -> None:
        self._server, self._figures, self._objects = server, figures, figures.objects
        self._classifiers = Classifiers(api, places)
        self._gateways = Gateways(server.kubeconfig)
        self._account = install(server)
        self._log = figures.log
        self._versions: Counter[int] = Counter()

    async def all(self, steps: set[str]) -> None:
        try:
            async with beside(self._classifiers.follow()):
                with InstalledOperator(self._account, self._log) as operator:
                    operator.wait_until_it_leads()
                    async with beside(keep_running(operator)):
                        await self._create(operator)
                        for step in STEPS_WHILE_IT_RUNS:
                            if step in steps:
                                await self._try(step, getattr(self, f"_{step}")(operator))
                    self._figures.restarts = operator.restarts
                if "start" in steps:
                    await self._try("start", self._start())
        finally:
            self._gateways.process.terminate()
            self._gateways.process.wait()

    async def _try(self, step: str, work: Coroutine[Any, Any, None]) -> None:
        """Do a step. If it fails, report it and keep the figures of the others."""
        try:
            await work
        except Exception as error:
            self._figures.failed.append(step)
            print(f"  the step {step} failed: {error!r}", flush=True)

    async def _create(self, operator: InstalledOperator) -> None:
        processes = {**self._server.process_ids, "operator": operator.process_id}
        cpu = Cpu({**processes, "gateways": self._gateways.process.pid})
        mark = self._server.audit_mark()
        self._figures.all_ready_seconds = await self._classifiers.create(
            range(self._objects), 180 + self._objects
        )
        self._figures.cpu = cpu.used()
        await asyncio.sleep(SETTLE_SECONDS)
        self._figures.requests = counted(self._server.audit_events(since=mark))
        self._figures.memory = operator.memory()
        print(f"  all Ready after {self._figures.all_ready_seconds:.1f} s", flush=True)

    async def _rest(self, operator: InstalledOperator) -> None:
        cpu, mark = Cpu({"operator": operator.process_id}), self._server.audit_mark()
        began = time.monotonic()
        await asyncio.sleep(self._figures.rest_seconds)
        took = time.monotonic() - began
        self._figures.rest_cpu = cpu.used().get("operator", 0.0) / took
        self._figures.rest_requests = counted(self._server.audit_events(since=mark))

    async def _bumps(self, operator: InstalledOperator) -> None:
        self._figures.bumps = Times([await self._bump(index) for index in range(15)])

    async def _busy(self, operator: InstalledOperator) -> None:
        others = range(20, min(120, self._objects - 3))  # the last three roll back later, to version 2
        rolling = asyncio.gather(*(self._bump(index) for index in others))
        await asyncio.sleep(0.2)
        self._figures.busy_bumps = Times([await self._bump(index) for index in range(3)])
        self._figures.others = Times(await rolling)

    async def _bump(self, index: int) -> float:
        self._versions[index] += 1
        return await self._classifiers.bump(index, 1 + self._versions[index])

    async def _rollbacks(self, operator: InstalledOperator) -> None:
        first = self._objects - 3
        silent = [name_of(index) for index in range(first)][-500:]
        self._figures.silent = len(silent)
        await asyncio.to_thread(self._gateways.behave, silent, {})
        await asyncio.sleep(SETTLE_SECONDS)

        async def fail(index: int) -> None:
            await asyncio.to_thread(self._gateways.behave, silent, {name_of(index): 2})

        self._figures.rollbacks = Times(
            [
                await self._classifiers.roll_back(index, partial(fail, index))
                for index in range(first, self._objects)
            ]
        )
        await asyncio.to_thread(self._gateways.behave, [], {})
        self._figures.memory = operator.memory()

    async def _start(self) -> None:
        began = time.monotonic()
        with InstalledOperator(self._account, self._log) as operator:
            cpu = Cpu({"operator": operator.process_id})
            await self._bump(16)
            self._figures.start_seconds = time.monotonic() - began
            await asyncio.sleep(SETTLE_SECONDS)
            self._figures.start_memory = operator.memory()
            self._figures.start_cpu = cpu.used().get("operator", 0.0)


async def measure(objects: int, options: argparse.Namespace) -> Figures:
    figures = Figures(objects, options.namespaces, log=options.log, rest_seconds=options.rest_seconds)
    figures.log.write_text("")
    print(figures.title, flush=True)
    if "floor" in options.steps:
        figures.floor_seconds, figures.floor_cpu = await measure_plain_client(
            objects, options.namespaces, floor.least
        )
        print(f"  floor {figures.floor_seconds:.1f} s", flush=True)
    if "children" in options.steps:
        figures.children_seconds, _ = await measure_plain_client(
            objects, options.namespaces, floor.all_children
        )
        print(f"  all children {figures.children_seconds:.1f} s", flush=True)
    with control_plane(objects) as server, new_namespaces(server, options.namespaces) as places:
        async with Api(server.kubeconfig) as api:
            await Run(server, places, api, figures).all(set(options.steps))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", nargs="+", type=int, default=[100, 1000])
    parser.add_argument(
        "--namespaces", type=int, default=1, help="over which the classifiers are spread (%(default)s)"
    )
    parser.add_argument("--steps", nargs="*", choices=STEPS, default=STEPS, metavar="STEP", help=str(STEPS))
    parser.add_argument("--rest-seconds", type=float, default=60, help="(%(default)s)")
    parser.add_argument(
        "--log", type=Path, default=Path("/tmp/bench-scale-operator.log"), help="(%(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="renew the table in docs/performance.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything of this run is stopped
    found = []
    with pod_network():
        for objects in options.objects:
            figures = asyncio.run(measure(objects, options))
            show(figures)
            found.append(figures)
    if options.write:
        renew_page(found)
    if any(figures.failed for figures in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
