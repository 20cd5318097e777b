"""The prober outside the operator: asks gateways and reads statuses every 100 ms, and reports contradictions.

    PYTHONPATH=tests/cluster:kind python tests/cluster/truth_prober.py NAMESPACE --seconds 600

The tests of this folder use it for each of their namespaces. Requests go through the API server's proxy of
the gateway's Service, so they need no port.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any

from cluster_testbed import Kubectl, plain_picture
from truth import SHOWN, Answer, Claim, History, contradictions

INTERVAL_SECONDS = 0.1
TIMEOUT_SECONDS = 15.0
PICTURE = plain_picture(215)
"""No model of the tests crashes on it."""
NOT_COUNTED = ("overloaded", "timeout")
"""Problems by which a gateway refuses work; they say nothing about the version."""
CLASSIFIERS = "/apis/imageclassifier.dev/v1alpha1/namespaces/{}/imageclassifiers"
PREDICT = "/api/v1/namespaces/{}/services/{}/proxy/predict"


def claim_of(body: dict[str, Any], at: float) -> Claim:
    """What the status of an ImageClassifier claims about its newest spec."""
    status = body.get("status") or {}
    current = {
        each["type"]: each["status"]
        for each in status.get("conditions") or ()
        if each.get("observedGeneration") == body["metadata"]["generation"]
    }
    traffic = status.get("traffic") or ()
    return Claim(
        at=at,
        available=current.get("Available"),
        ready=current.get("Ready"),
        phase=status.get("phase", "") if current else "",
        versions=frozenset(each["version"] for each in traffic if each["percent"]),
    )


def service_of(body: dict[str, Any]) -> str:
    """The gateway's Service, as the API server's proxy names it."""
    name = f"{body['metadata']['name']}-gateway"
    return f"https:{name}:https" if "tls" in body["spec"].get("gateway", {}) else f"{name}:http"


def answer_of(
    status: int, text: bytes, began: float, ended: float, not_counted: Collection[str] = NOT_COUNTED
) -> Answer | None:
    """The answer in a response. None if it says nothing about the version."""
    try:
        document = json.loads(text)
    except ValueError:
        document = {}
    if status == 200:
        return Answer(began, ended, version=document["model"]["version"])
    cause = str(document.get("type", "")).rpartition(":")[2]
    if status < 500 or cause in not_counted:
        return None
    return Answer(began, ended, problem=f"{status} {text[:200].decode('utf-8', 'replace')}")


class TruthProber:
    """Probes all ImageClassifiers of one namespace until the block ends.

    `expected`: problems that the versions cause on purpose. They do not contradict a status.
    """

    def __init__(self, kubectl: Kubectl, expected: Collection[str] = ()) -> None:
        assert kubectl.namespace is not None
        self._not_counted = (*NOT_COUNTED, *expected)
        self._kubectl, self._namespace = kubectl, kubectl.namespace
        self.histories: dict[str, History] = {}
        self._stop, self._threads = threading.Event(), [threading.Thread(target=self._watch, daemon=True)]

    def __enter__(self) -> TruthProber:
        self._proxy = subprocess.Popen(
            [self._kubectl.program, f"--context={self._kubectl.context}", "proxy", "--port=0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._proxy.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", self._proxy.stdout.readline())
        assert found, "kubectl proxy did not say its port"
        self._port = int(found[1])
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._proxy.terminate()
        self._proxy.wait()

    def contradictions(self) -> list[str]:
        return [sentence for history in self.histories.values() for sentence in contradictions(history)]

    def report(self) -> list[str]:
        """The lines of the report."""
        lines = []
        for history in self.histories.values():
            found = contradictions(history)
            lines.append(f"{self._namespace}/{history.summary()}, {len(found)} contradictions")
            lines += [f"  {sentence}" for sentence in found[:SHOWN]]
        return lines

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _watch(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            began = time.time()
            try:
                status, text = self._request("GET", CLASSIFIERS.format(self._namespace))
                bodies = json.loads(text)["items"] if status == 200 else None
            except (OSError, http.client.HTTPException, ValueError):
                bodies = None
            if bodies is None:
                continue  # the current status is unknown, so `looked_until` stays
            self._record(bodies, began)

    def _record(self, bodies: list[dict[str, Any]], at: float) -> None:
        found = {body["metadata"]["name"]: body for body in bodies}
        for name in found.keys() - self.histories.keys():
            self.histories[name] = History(name)
            self._threads.append(threading.Thread(target=self._ask, args=(found[name],), daemon=True))
            self._threads[-1].start()
        for name, history in self.histories.items():
            claim = claim_of(found[name], at) if name in found else Claim(at)
            last = history.claims[-1] if history.claims else None
            if last is None or last != Claim(**{**vars(claim), "at": last.at}):
                history.claims.append(claim)
            history.looked_until = at

    def _ask(self, body: dict[str, Any]) -> None:
        path = PREDICT.format(self._namespace, service_of(body))
        history = self.histories[body["metadata"]["name"]]
        while not self._stop.wait(INTERVAL_SECONDS):
            began = time.time()
            try:
                status, text = self._request("POST", path, PICTURE)
            except (OSError, http.client.HTTPException):
                continue  # the proxy on this machine, not the gateway
            answer = answer_of(status, text, began, time.time(), self._not_counted)
            if answer is not None:
                history.answers.append(answer)


def main() -> int:
    from laptop.cluster_state import LAPTOP
    from laptop.kubernetes_programs import kubectl_program

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("namespace")
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    kubectl = Kubectl(str(kubectl_program()), LAPTOP.context, options.namespace)
    with TruthProber(kubectl) as prober:
        time.sleep(options.seconds)
    print("\n".join(prober.report()))
    return 1 if prober.contradictions() else 0


if __name__ == "__main__":
    sys.exit(main())
