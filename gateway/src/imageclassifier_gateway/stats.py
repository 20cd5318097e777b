"""The counters of the gateway, for Prometheus and for the operator's analysis of a rollout (`GET /rollout`).

All counters are cumulative since the process started. The operator takes differences. A new `start_id` means
that the counters started again at zero.
"""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left
from collections import Counter as Tally
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest

#: Upper bounds in seconds. Each is about 1.5 times the previous one, so a p99 from them is at most 50 % too
#: high.
LATENCY_BUCKETS_SECONDS = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip

#: The stages of a prediction request: reading it, fetching from URLs, decoding, calling the model, and the
#: total.
STAGES = ("receive", "fetch", "decode", "model", "total")

# Otherwise each counter gets a second series, `_created`, that nobody reads.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass
class _VersionCounters:
    requests: int = 0
    errors: int = 0
    latency_sum_seconds: float = 0.0
    #: For each bound, the number of calls above the previous bound and up to this one. The last is for the
    #: rest.
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_SECONDS) + 1))


@dataclass
class _ShadowCounters:
    compared: int = 0
    agreed: int = 0
    dropped: int = 0
    failed: int = 0
    confusion: Tally[tuple[str, str]] = field(default_factory=Tally)


class Stats:
    """All counters of one gateway process. Thread-safe."""

    def __init__(self) -> None:
        self.start_id = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._versions: defaultdict[int, _VersionCounters] = defaultdict(_VersionCounters)
        self._shadows: dict[int, _ShadowCounters] = {}
        self._registry = CollectorRegistry()
        prefix = "imageclassifier_gateway"

        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{prefix}_{name}", text, labels, registry=self._registry)

        self.requests = counter("requests", "HTTP responses sent, by route and status.", ("route", "status"))
        self.problems = counter(
            "errors",
            "Problem documents sent, by cause, including those of single pictures in a list.",
            ("cause",),
        )
        self.predictions = counter(
            "predictions",
            "Pictures classified, by version and label (any if the model has more than 1,000 classes).",
            ("version", "label"),
        )
        self.cached_predictions = counter(
            "cached_predictions", "Pictures classified from the cache of answers, without the model."
        )
        self.key_requests = counter(
            "key_requests",
            "Requests with a valid API key, by its name: accepted, or limited by its rate.",
            ("key", "outcome"),
        )
        self.fetches = counter("url_fetches", "Fetches of pictures from URLs, by outcome.", ("outcome",))
        stages = Histogram(
            f"{prefix}_stage_duration_seconds",
            "Time that a prediction request spent in each stage.",
            ("stage",),
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self._registry,
        )
        #: The histograms by stage, looked up once because each request observes several.
        self.stages = {stage: stages.labels(stage) for stage in STAGES}
        self.in_flight = Gauge(
            f"{prefix}_requests_in_flight",
            "Requests in progress, including waiting ones.",
            registry=self._registry,
        )
        self.held_bytes = Gauge(
            f"{prefix}_held_bytes",
            "Bytes of bodies and pixels that requests hold in memory.",
            registry=self._registry,
        )
        self.decodes_waiting = Gauge(
            f"{prefix}_decodes_waiting",
            "Pictures that wait for a core to be decoded.",
            registry=self._registry,
        )
        self.connections = Gauge(
            f"{prefix}_connections", "Open connections of clients.", registry=self._registry
        )
        self.evicted_connections = counter(
            "evicted_connections",
            "Connections closed to make room for new clients, by what they were waiting for.",
            ("state",),
        )
        self.dropped_log_lines = counter("dropped_log_lines", "Log lines dropped because stdout was blocked.")
        self.routing_revision = Gauge(
            f"{prefix}_routing_revision", "Revision of the routing file in use.", registry=self._registry
        )
        self.routing_broken = Gauge(
            f"{prefix}_routing_broken", "1 while the routing file cannot be read.", registry=self._registry
        )
        self._model_requests = counter("model_requests", "Requests sent to each version.", ("version",))
        self._model_errors = counter(
            "model_errors",
            "Requests that each version failed to answer, without failures that a client can cause.",
            ("version",),
        )
        self._model_latency = Histogram(
            f"{prefix}_model_latency_seconds",
            "Time that each version took to answer, per picture of a request.",
            ("version",),
            buckets=LATENCY_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._shadowed = counter(
            "shadow", "Pictures copied to the shadow version, by outcome.", ("version", "outcome")
        )

    def forget_key(self, name: str) -> None:
        """Remove the series of an API key that does not exist any more."""
        for outcome in ("accepted", "limited"):
            with suppress(KeyError):
                self.key_requests.remove(name, outcome)

    def answered(self, version: int, latency_seconds: float) -> None:
        """Count a request that a version answered; the latency is per picture."""
        self._count(version, latency_seconds)

    def failed(self, version: int, latency_seconds: float | None) -> None:
        """Count a request that a version failed to answer, as an error and as a request.

        The latency is None if the version could not be called at all.
        """
        self._count(version, latency_seconds)
        with self._lock:
            self._versions[version].errors += 1
        self._model_errors.labels(version).inc()

    def _count(self, version: int, latency_seconds: float | None) -> None:
        self._model_requests.labels(version).inc()
        with self._lock:
            counters = self._versions[version]
            counters.requests += 1
            if latency_seconds is None:
                return
            counters.latency_sum_seconds += latency_seconds
            counters.latency_counts[bisect_left(LATENCY_BUCKETS_SECONDS, latency_seconds)] += 1
        self._model_latency.labels(version).observe(latency_seconds)

    def shadow_compared(self, version: int, serving_label: str, candidate_label: str) -> None:
        """Count a picture that both the serving version and the shadow version classified."""
        with self._lock:
            shadow = self._shadows.setdefault(version, _ShadowCounters())
            shadow.compared += 1
            if serving_label == candidate_label:
                shadow.agreed += 1
            else:
                shadow.confusion[serving_label, candidate_label] += 1
        outcome = "agreed" if serving_label == candidate_label else "differed"
        self._shadowed.labels(version, outcome).inc()

    def shadow_dropped(self, version: int, pictures: int) -> None:
        """Count pictures that were dropped because the queue was full."""
        with self._lock:
            self._shadows.setdefault(version, _ShadowCounters()).dropped += pictures
        self._shadowed.labels(version, "dropped").inc(pictures)

    def shadow_failed(self, version: int, pictures: int) -> None:
        """Count pictures that the shadow version failed to classify."""
        with self._lock:
            self._shadows.setdefault(version, _ShadowCounters()).failed += pictures
        self._shadowed.labels(version, "failed").inc(pictures)

    def version_document(self, version: int) -> dict[str, Any]:
        """The counters of one version as `/rollout` shows them, with cumulative bucket counts."""
        with self._lock:
            counters = self._versions.get(version, _VersionCounters())
            buckets, total = {}, 0
            bounds = [*(f"{bound:g}" for bound in LATENCY_BUCKETS_SECONDS), "+Inf"]
            for bound, count in zip(bounds, counters.latency_counts, strict=True):
                total += count
                buckets[bound] = total
            return {
                "requests": counters.requests,
                "errors": counters.errors,
                "latency_seconds": {"buckets": buckets, "sum": round(counters.latency_sum_seconds, 6)},
            }

    def shadow_document(self, version: int) -> dict[str, Any]:
        """The agreement counters of one shadow version as `/rollout` shows them.

        The most common confusions come first.
        """
        with self._lock:
            shadow = self._shadows.get(version, _ShadowCounters())
            return {
                "version": version,
                "compared": shadow.compared,
                "agreed": shadow.agreed,
                "dropped": shadow.dropped,
                "failed": shadow.failed,
                "confusion": [
                    {"serving": serving, "candidate": candidate, "count": count}
                    for (serving, candidate), count in shadow.confusion.most_common(20)
                ],
            }

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
