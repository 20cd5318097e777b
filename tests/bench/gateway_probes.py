"""Measures the cost of probing gateways at rest: CPU time and requests for 1,000 ImageClassifiers.

python tests/bench/gateway_probes.py --objects 1000 --gateways 2 --minutes 2

The operator's own prober and HTTP client probe gateways on loopback addresses, which another process serves.
Their reports are those of one healthy version. With `--silent` no gateway answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from typing import Any

from imageclassifier_operator import api, metrics
from imageclassifier_operator.api import names
from imageclassifier_operator.api.kinds import PODS, WATCHED
from imageclassifier_operator.observe.gateway_client import HttpGatewayClient
from imageclassifier_operator.reconcile.gateway_prober import GatewayProber
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.rollout.state import Phase, State
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key, WorkQueue

WARM_UP_SECONDS = 35
"""The first probes are all due at once; their jitter spreads the next ones."""
BUCKETS = dict.fromkeys(
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"], 1000
)
VERSION = {"ready": True, "requests": 1000, "errors": 0, "latency_seconds": {"buckets": BUCKETS}}
REPORT = json.dumps({"schema": 1, "start_id": "s", "revision": 1, "versions": {"1": VERSION}}).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(REPORT),
    REPORT,
)


def address(index: int) -> str:
    """The loopback address of a gateway."""
    return f"127.1.{index // 250}.{index % 250 + 1}"


def serve(count: int, port: Connection, silent: bool) -> None:
    """Serve the report of `count` gateways, all on one port, which is sent through `port`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if silent:
                    await asyncio.sleep(3600)
                writer.write(RESPONSE)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        first = await asyncio.start_server(answer, address(0), 0)
        number = first.sockets[0].getsockname()[1]
        if count > 1:
            await asyncio.start_server(answer, [address(index) for index in range(1, count)], number)
        port.send(number)
        await asyncio.Event().wait()

    asyncio.run(main())


def gateway_pod(index: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"gateway-{index}",
            "uid": f"uid-{index}",
            "resourceVersion": "1",
            "labels": {names.LABEL_COMPONENT: "gateway"},
        },
        "status": {"podIP": address(index), "conditions": [{"type": "Ready", "status": "True"}]},
    }


def memory(name: str) -> Memory:
    """The operator's memory of a classifier at rest."""
    body = {
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}},
    }
    serving = api.parse(body).candidate("tf")
    return Memory(name, state=State(revision=1, phase=Phase.STABLE, serving=serving))


def probes() -> dict[str, int]:
    return {
        sample.labels["result"]: int(sample.value)
        for family in metrics.GATEWAY_PROBES.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(options: argparse.Namespace, port: int) -> None:
    keys = [Key("default", f"pizza-{index}") for index in range(options.objects)]
    each = options.gateways
    pods = {
        key: [gateway_pod(number * each + index) for index in range(each)] for number, key in enumerate(keys)
    }
    cache = Cache({kind.plural: {} for kind in WATCHED} | {PODS.plural: pods})
    client = HttpGatewayClient(port)
    memories = {key: memory(key.name) for key in keys}
    running = asyncio.create_task(GatewayProber(cache, client, memories, WorkQueue(), time.time).run())
    await asyncio.sleep(WARM_UP_SECONDS)
    before, cpu, began = probes(), cpu_seconds(), time.monotonic()
    await asyncio.sleep(options.minutes * 60)
    seconds, used = time.monotonic() - began, cpu_seconds() - cpu
    counts = {result: count - before.get(result, 0) for result, count in probes().items()}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.close()
    total = sum(counts.values())
    print(f"{options.objects} ImageClassifiers with {each} gateways each, {seconds:.0f} s: {counts}")
    print(f"{total / seconds:.1f} requests/s, {used / seconds * 100:.1f} % of one core", end=", ")
    print(f"{used / total * 1000:.2f} ms CPU for each request")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most, of the whole process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--gateways", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--silent", action="store_true", help="no gateway answers")
    options = parser.parse_args()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    arguments = (options.objects * options.gateways, sender, options.silent)
    server = multiprocessing.Process(target=serve, args=arguments, daemon=True)
    server.start()
    try:
        asyncio.run(measure(options, receiver.recv()))
    finally:
        server.terminate()


if __name__ == "__main__":
    main()
