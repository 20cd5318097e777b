"""Counts the operator's requests to the API server: from nothing to Ready for each object, and then at rest.

python tests/bench/operator_requests.py --objects 10 --minutes 10

The whole operator works on a bare API server (`make kubernetes`), under the service account of its
installation, with fake pods and fake gateways. The operator's own counters and the server's audit log are
printed, both without watches. The exit code is 1 if the operator writes anything but the Lease at rest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [
    str(TESTS.parent / "kind"),
    str(TESTS / "apiserver"),
    str(TESTS / "operator/support"),
    str(TESTS / "support"),
]

from bare_apiserver import AuditEvent, ControlPlane, find_programs  # noqa: E402
from imageclassifier_operator import metrics  # noqa: E402
from imageclassifier_operator.api import names  # noqa: E402
from operator_process import PlayedGateways, RunningOperator  # noqa: E402
from verifications import pass_verifications  # noqa: E402

INSTALL = TESTS.parent / "operator/install/install.yaml"
SYSTEM, ACCOUNT = "imageclassifier-system", "imageclassifier-operator"
CLASSIFIERS = f"/apis/{names.API_VERSION}/namespaces/{{}}/imageclassifiers"
AFTERWARDS_SECONDS = 20
"""What still follows when all are Ready, such as the figures of a status."""


def counted_by_the_operator() -> Counter[str]:
    """The operator's own counters: `verb kind` -> requests so far."""
    return Counter(
        {
            f"{sample.labels['verb']} {sample.labels['kind']}": int(sample.value)
            for family in metrics.API_REQUESTS.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }
    )


def counted_by_the_server(events: list[AuditEvent]) -> Counter[str]:
    """The audit log's requests of the operator: `verb resource` -> requests."""
    user = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
    return Counter(
        f"{event.verb} {'/'.join(filter(None, (event.resource, event.subresource)))}"
        for event in events
        if event.user == user and event.verb != "watch"
    )


def create(server: ControlPlane, namespace: str, count: int) -> None:
    for index in range(count):
        body = {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": f"pizza-{index}"},
            "spec": {"model": {"version": 1, "source": {"image": {"reference": "pizza-model:{version}"}}}},
        }
        server.request("POST", CLASSIFIERS.format(namespace), body)


def all_ready(server: ControlPlane, namespace: str) -> bool:
    pass_verifications(server, namespace)
    conditions = [
        {condition["type"]: condition["status"] for condition in item.get("status", {}).get("conditions", ())}
        for item in server.request("GET", CLASSIFIERS.format(namespace))["items"]
    ]
    return all(each.get("Ready") == "True" for each in conditions)


def is_leader() -> bool:
    return any(sample.value == 1 for metric in metrics.LEADER.collect() for sample in metric.samples)


def show(title: str, own: Counter[str], server: Counter[str]) -> None:
    print(f"\n{title}")
    for who, counted in (("the operator's counters", own), ("the server's audit log", server)):
        print(f"  {who}")
        for what, count in sorted(counted.items()):
            print(f"    {count:>6}  {what}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--objects", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    with ControlPlane(find_programs()) as server, server.namespace() as namespace:
        server.ensure_nodes(1)
        server.kubectl("apply", "--server-side", "-f", str(INSTALL))
        server.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
        kubeconfig = server.kubeconfig_of_service_account(SYSTEM, ACCOUNT)
        with RunningOperator(kubeconfig, PlayedGateways(server), namespace=SYSTEM):
            server.wait_for(is_leader, "the Lease")
            mark, before = server.audit_mark(), counted_by_the_operator()
            began = time.monotonic()
            create(server, namespace, options.objects)
            server.wait_for(lambda: all_ready(server, namespace), "all to be Ready", 600)
            took = time.monotonic() - began
            time.sleep(AFTERWARDS_SECONDS)
            told = counted_by_the_server(server.audit_events(since=mark))
            show(
                f"{options.objects} objects, Ready after {took:.0f} s, and {AFTERWARDS_SECONDS} s more",
                counted_by_the_operator() - before,
                told,
            )
            mark, before = server.audit_mark(), counted_by_the_operator()
            time.sleep(options.minutes * 60)
            told = counted_by_the_server(server.audit_events(since=mark))
            show(f"{options.minutes:g} minutes at rest", counted_by_the_operator() - before, told)
    reads = ("get ", "list ")
    written = {what: n for what, n in told.items() if not what.startswith(reads) and "leases" not in what}
    print(f"\nwritten at rest beside the Lease: {written or 'nothing'}")
    return 1 if written else 0


if __name__ == "__main__":
    sys.exit(main())
