"""The operator's metrics, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

REGISTRY = CollectorRegistry()

RECONCILES = Counter(
    "imageclassifier_reconciles_total",
    "Reconciliations of ImageClassifiers, by result (ok, failed).",
    ["result"],
    registry=REGISTRY,
)
RECONCILE_SECONDS = Histogram(
    "imageclassifier_reconcile_seconds",
    "Duration of a reconciliation.",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("imageclassifier_queue_depth", "ImageClassifiers in the work queue.", registry=REGISTRY)
QUEUE_SECONDS = Histogram(
    "imageclassifier_queue_seconds",
    "Time that an ImageClassifier spends in the work queue.",
    buckets=(0.001, 0.01, 0.1, 1, 10, 60),
    registry=REGISTRY,
)
API_REQUESTS = Counter(
    "imageclassifier_api_requests_total",
    "Requests to the API server without the watches, by verb, kind and HTTP status.",
    ["verb", "kind", "status"],
    registry=REGISTRY,
)
CONDITIONS = Gauge(
    "imageclassifier_condition",
    "1 for the present status and reason of each condition of an ImageClassifier.",
    ["namespace", "name", "condition", "status", "reason"],
    registry=REGISTRY,
)
LEADER = Gauge(
    "imageclassifier_leader", "1 in the replica that is the leader, 0 in the others.", registry=REGISTRY
)
TRANSITIONS = Counter(
    "imageclassifier_rollout_transitions_total",
    "Transitions of rollouts, by transition.",
    ["transition"],
    registry=REGISTRY,
)
ROUTING_SECONDS = Histogram(
    "imageclassifier_routing_acknowledged_seconds",
    "Time from a routing write until all ready gateway pods have acknowledged it.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 5, 15, 60, 120),
    registry=REGISTRY,
)

GATEWAY_PROBES = Counter(
    "imageclassifier_gateway_probes_total",
    "Probes of gateway pods by the operator while no rollout is in progress, by result (answered, silent).",
    ["result"],
    registry=REGISTRY,
)


def serve(port: int, address: str) -> None:
    """Serve the metrics on `port` of `address`, in a thread."""
    start_http_server(port, addr=address, registry=REGISTRY)


_LABELS_SET: dict[tuple[str, str], set[tuple[str, str, str]]] = {}


def set_conditions(namespace: str, name: str, conditions: list[dict[str, str]]) -> None:
    """Set the metrics of one ImageClassifier's conditions, in place of earlier ones."""
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
