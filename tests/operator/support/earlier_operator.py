"""The operator of an earlier commit, as a process of its own, from the sources in this clone's history.

It polls its gateways at an HTTP server of the test, `GatewayServer`: their addresses on the fake nodes reach
nobody. The reports have the form of docs/architecture.md, so each operator parses them by itself.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from free_ports import free_port

from imageclassifier_operator.api import names
from imageclassifier_operator.observe.types import GatewayReport
from operator_process import END_SECONDS, PlayedGateways

REPOSITORY = Path(__file__).parents[3]
MAIN = Path(__file__).with_name("earlier_operator_main.py")


def extract(commit: str, *paths: str, into: Path) -> bool:
    """Extract `paths` of a commit. Returns whether this clone has the commit."""
    git = ["git", "-C", str(REPOSITORY)]
    known = subprocess.run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True)
    if known.returncode:
        return False
    archive = subprocess.run([*git, "archive", commit, *paths], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(into, filter="data")
    return True


@contextlib.contextmanager
def earlier_operator(source: Path, kubeconfig: Path, gateways: PlayedGateways, log: Path) -> Iterator[None]:
    """The operator whose packages are in `source` runs; leaving ends it with SIGTERM."""
    with _gateway_server(gateways) as url, log.open("w") as output:
        environment = {
            **os.environ,
            "PYTHONPATH": str(source),
            "KUBECONFIG": str(kubeconfig),
            "GATEWAYS_URL": url,
            "POD_NAME": "operator-before",
            "POD_NAMESPACE": "default",
            "IMAGECLASSIFIER_GATEWAY_IMAGE": "gateway:test",
            "IMAGECLASSIFIER_SERVING_IMAGE": "tensorflow/serving:test",
            "IMAGECLASSIFIER_PROBE_PORT": str(free_port()),
            "IMAGECLASSIFIER_METRICS_PORT": str(free_port()),
        }
        process = subprocess.Popen(
            [sys.executable, str(MAIN)], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield
            assert process.poll() is None, f"The earlier operator ended:\n{log.read_text()[-4000:]}"
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_SECONDS) == 0, log.read_text()[-4000:]
        except TimeoutError as error:
            error.add_note(f"The log of the earlier operator:\n{log.read_text()[-4000:]}")
            raise
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _gateway_server(gateways: PlayedGateways) -> Iterator[str]:
    """A server with the reports of all gateways, at /<namespace>/<ImageClassifier>/<uid of the pod>."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            namespace, classifier, uid = self.path.removeprefix("/").split("/")
            labels = {names.LABEL_INSTANCE: classifier}
            report = gateways.report({"metadata": {"namespace": namespace, "uid": uid, "labels": labels}})
            body = b"" if report is None else json.dumps(_document(report)).encode()
            self.send_response(200 if body else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _document(report: GatewayReport) -> dict[str, Any]:
    """The report in the form of docs/architecture.md."""
    shadow = report.shadow
    return {
        "schema": 1,
        "start_id": report.start_id,
        "revision": report.revision,
        "routing_error": report.routing_error,
        "versions": {
            str(version): {
                "ready": found.ready,
                "error": found.error,
                "requests": found.counters.requests,
                "errors": found.counters.errors,
                "latency_seconds": {"buckets": dict(found.counters.buckets)},
            }
            for version, found in report.versions.items()
        },
        "shadow": shadow
        and {
            "version": shadow.version,
            "compared": shadow.compared,
            "agreed": shadow.agreed,
            "dropped": shadow.dropped,
            "failed": shadow.failed,
            "confusion": [{"serving": s, "candidate": c, "count": n} for s, c, n in shadow.confusion],
        },
    }
