"""A real Prometheus that scrapes the real metrics of the operator and of gateways, which have been busy."""

import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen
from typing import Any

import yaml
from free_ports import free_port
from prometheus_client import generate_latest
from waiting import wait_until

from imageclassifier_gateway.stats import STAGES, Stats
from imageclassifier_operator import metrics
from install_checkers import checker

GATEWAY_LABELS = {"namespace": "food", "classifier": "pizza"}


def _operator_works() -> None:
    """A reconciliation, as it changes the operator's metrics."""
    metrics.set_conditions(
        "food",
        "pizza",
        [
            {"type": "Available", "status": "True", "reason": "Available"},
            {"type": "Ready", "status": "False", "reason": "Shifting"},
            {"type": "Progressing", "status": "True", "reason": "Shifting"},
            {"type": "Reconciling", "status": "True", "reason": "Shifting"},
        ],
    )
    metrics.set_conditions(
        "food",
        "cats",
        [
            {"type": "Available", "status": "False", "reason": "ImagePullFailed"},
            {"type": "Ready", "status": "False", "reason": "ImagePullFailed"},
            {"type": "Stalled", "status": "True", "reason": "ImagePullFailed"},
        ],
    )
    for result in ("ok", "failed"):
        metrics.RECONCILES.labels(result).inc()
    metrics.RECONCILE_SECONDS.observe(0.01)
    metrics.QUEUE_SECONDS.observe(0.01)
    metrics.API_REQUESTS.labels("PATCH", "deployments", "200").inc()
    metrics.LEADER.set(1)
    metrics.TRANSITIONS.labels("ShareChanged").inc()
    metrics.ROUTING_SECONDS.observe(0.5)
    metrics.GATEWAY_PROBES.labels("answered").inc()


def _gateway_works(stats: Stats) -> None:
    """Some requests, as they change the gateway's metrics."""
    for status in (200, 415, 503):
        stats.requests.labels("/predict", status).inc()
    for cause in ("overloaded", "not-a-picture"):
        stats.problems.labels(cause).inc()
    for version in (1, 2):
        stats.answered(version, 0.02)
        stats.failed(version, 0.02)
        stats.predictions.labels(version, "pizza").inc()
    stats.shadow_compared(2, "pizza", "not_pizza")
    stats.fetches.labels("fetched").inc()
    stats.key_requests.labels("shop", "accepted").inc()
    stats.evicted_connections.labels("idle").inc()
    stats.dropped_log_lines.inc()
    for stage in STAGES:
        stats.stages[stage].observe(0.02)


@contextmanager
def _metrics_server(stats: Stats) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/operator":
                _operator_works()
                body = generate_latest(metrics.REGISTRY)
            else:
                _gateway_works(stats)
                body = stats.exposition()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    for classifier in list(metrics._LABELS_SET):  # those of other tests in this process
        metrics.set_conditions(*classifier, [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            for name in ("pizza", "cats"):
                metrics.set_conditions("food", name, [])
            metrics.LEADER.set(0)


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    port: int

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of its API. Raises HTTPError if it refuses the query."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def answers(self) -> bool:
        """Whether its API answers."""
        try:
            return bool(self.get("status/buildinfo"))
        except OSError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result


@contextmanager
def prometheus(folder: Path, config: dict[str, Any]) -> Iterator[Prometheus]:
    """A Prometheus with this configuration, as soon as its API answers."""
    port, path = free_port(), folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        str(checker("prometheus")), f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, Popen(command, stdout=log, stderr=log) as process:
        try:
            running = Prometheus(port)
            wait_until(running.answers, f"Prometheus to answer, see {folder}/log", 30)
            yield running
        finally:
            process.terminate()


@contextmanager
def scraping_prometheus(folder: Path, rules: Path, jobs: list[dict[str, Any]]) -> Iterator[Prometheus]:
    """Prometheus with these rules, after it has scraped the operator and a gateway several times.

    `jobs`: further jobs, whose targets do not answer.
    """
    with _metrics_server(Stats()) as target_port:

        def job(name: str, **labels: str) -> dict[str, Any]:
            targets = [{"targets": [f"127.0.0.1:{target_port}"], "labels": {**labels, "pod": name}}]
            settings = {"metrics_path": f"/{name}", "honor_labels": name == "operator"}
            return {"job_name": name, "static_configs": targets, **settings}

        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                job("operator", namespace="imageclassifier-system"),
                job("gateway", **GATEWAY_LABELS),
                *jobs,
            ],
        }
        with prometheus(folder, config) as running:
            wait_until(lambda: _scrapes(running) >= 3, f"three scrapes, see {folder}/log", 30)
            yield running


def _scrapes(running: Prometheus) -> int:
    """How often the target with the fewest scrapes has been scraped."""
    counts = [
        int(each["value"][1]) for each in running.query('sum_over_time(up{job=~"operator|gateway"}[1m])')
    ]
    return min(counts) if len(counts) == 2 else 0
