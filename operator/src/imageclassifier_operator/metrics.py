"""The operator's own figures, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry()

RECONCILES = Counter(
    "imageclassifier_reconciles_total",
    "Passes over one ImageClassifier, by how they ended (ok, failed).",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "imageclassifier_reconcile_seconds",
    "How long a pass takes.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge(
    "imageclassifier_queue_depth", "ImageClassifiers that wait for a pass.", registry=REGISTRY
)
QUEUE_SECONDS = Histogram(
    "imageclassifier_queue_seconds",
    "How long an ImageClassifier waits in the queue before its pass.",
    buckets=(0.001, 0.01, 0.1, 1, 10, 60),
    registry=REGISTRY,
)
API_REQUESTS = Counter(
    "imageclassifier_api_requests_total",
    "Requests to the API server beside the watches, by verb, kind and HTTP status.",
    ["verb", "kind", "status"],
    registry=REGISTRY,
)
CONDITIONS = Gauge(
    "imageclassifier_condition",
    "1 for the status and reason that a condition of an ImageClassifier has now.",
    ["namespace", "name", "condition", "status", "reason"],
    registry=REGISTRY,
)
LEADER = Gauge("imageclassifier_leader", "1 in the replica that holds the Lease.", registry=REGISTRY)
TRANSITIONS = Counter(
    "imageclassifier_rollout_transitions_total",
    "Transitions of rollouts, by name.",
    ["transition"],
    registry=REGISTRY,
)
ROUTING_SECONDS = Histogram(
    "imageclassifier_routing_acknowledged_seconds",
    "From a routing write until the last ready gateway pod has acknowledged it.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 5, 15, 60, 120),
    registry=REGISTRY,
)


def serve(port: int) -> None:
    """Answer scrapes on `port`, on a thread of its own."""
    start_http_server(port, registry=REGISTRY)


_LABELS_SET: dict[tuple[str, str], set[tuple[str, str, str]]] = {}


def tell_conditions(namespace: str, name: str, conditions: list[dict[str, str]]) -> None:
    """Show the conditions of one ImageClassifier; those that it had before disappear."""
    now = {(c["type"], c["status"], c["reason"]) for c in conditions}
    before = _LABELS_SET.get((namespace, name), set())
    for labels in before - now:
        CONDITIONS.remove(namespace, name, *labels)
    for labels in now - before:
        CONDITIONS.labels(namespace, name, *labels).set(1)
    if now:
        _LABELS_SET[namespace, name] = now
    else:
        _LABELS_SET.pop((namespace, name), None)
