"""The dashboard of all ImageClassifiers and of the operator."""

from dashboards.grafana import Dashboard, Panel, Row, per_second, quantile, share


def _count(selector: str) -> str:
    """How many ImageClassifiers have a condition; 0 and not empty if there are none."""
    condition = f'imageclassifier_condition{{{selector}, namespace=~"$namespace"}}'
    return f"count(max by (namespace, name) ({condition})) or vector(0)"


FLEET_SELECTOR = 'namespace=~"$namespace"'
FLEET_BY = "namespace, classifier"
FLEET_LEGEND = "{{namespace}}/{{classifier}}"
_FLEET_REQUESTS = "imageclassifier_gateway_requests_total"

FLEET = Dashboard(
    uid="imageclassifier-fleet",
    title="ImageClassifiers",
    variables={"namespace": ("imageclassifier_condition", "namespace")},
    several=True,
    rows=(
        Row(
            "State",
            (
                Panel("ImageClassifiers", _count('condition="Ready"')),
                Panel("Available", _count('condition="Available", status="True"')),
                Panel("Not available", _count('condition="Available", status="False", reason!="Stopped"')),
                Panel("Rollouts in progress", _count('condition="Progressing", status="True"')),
                Panel("Stalled", _count('condition="Stalled", status="True"')),
            ),
            height=4,
        ),
        Row(
            "Not Ready",
            (
                Panel(
                    "ImageClassifiers that are not Ready",
                    "max by (namespace, name, status, reason) "
                    '(imageclassifier_condition{condition="Ready", status!="True", namespace=~"$namespace"})',
                    table=("namespace", "name", "status", "reason"),
                    meaning="docs/runbooks.md has a section for each reason.",
                ),
            ),
        ),
        Row(
            "Requests",
            (
                Panel(
                    "Requests per second",
                    per_second(_FLEET_REQUESTS, FLEET_BY, FLEET_SELECTOR),
                    FLEET_LEGEND,
                    "reqps",
                ),
                Panel(
                    "Share of requests that fail",
                    share(
                        per_second(_FLEET_REQUESTS, FLEET_BY, f'{FLEET_SELECTOR}, status=~"5.."'),
                        per_second(_FLEET_REQUESTS, FLEET_BY, FLEET_SELECTOR),
                    ),
                    FLEET_LEGEND,
                    "percentunit",
                    "Responses with a status of 500 or more.",
                ),
                Panel(
                    "99th percentile of the latency",
                    quantile(
                        "0.99",
                        "imageclassifier_gateway_stage_duration_seconds",
                        FLEET_BY,
                        f'{FLEET_SELECTOR}, stage="total"',
                    ),
                    FLEET_LEGEND,
                    "s",
                ),
            ),
        ),
        Row(
            "Work",
            (
                Panel(
                    "Pictures classified per second",
                    per_second("imageclassifier_gateway_predictions_total", FLEET_BY, FLEET_SELECTOR),
                    FLEET_LEGEND,
                    "ops",
                ),
                Panel(
                    "Memory that requests hold",
                    f"sum by ({FLEET_BY}) (imageclassifier_gateway_held_bytes{{{FLEET_SELECTOR}}})",
                    FLEET_LEGEND,
                    "bytes",
                ),
                Panel(
                    "Requests refused because of overload, per second",
                    per_second(
                        "imageclassifier_gateway_errors_total",
                        FLEET_BY,
                        f'{FLEET_SELECTOR}, cause="overloaded"',
                    ),
                    FLEET_LEGEND,
                    "reqps",
                ),
            ),
        ),
        Row(
            "The operator",
            (
                Panel(
                    "Leaders", "sum(imageclassifier_leader)", meaning="1, except for seconds during a change."
                ),
                Panel("ImageClassifiers in the queue", "sum(imageclassifier_queue_depth)"),
                Panel(
                    "Failed reconciliations in an hour",
                    'sum(increase(imageclassifier_reconciles_total{result="failed"}[1h])) or vector(0)',
                ),
            ),
            height=4,
        ),
        Row(
            "The operator's work",
            (
                Panel(
                    "Reconciliations per second",
                    per_second("imageclassifier_reconciles_total", "result", ""),
                    "{{result}}",
                    "ops",
                ),
                Panel(
                    "Duration of reconciliations, 99th percentile",
                    quantile("0.99", "imageclassifier_reconcile_seconds", "", ""),
                    "duration",
                    "s",
                ),
                Panel(
                    "Time in the queue, 99th percentile",
                    quantile("0.99", "imageclassifier_queue_seconds", "", ""),
                    "time",
                    "s",
                ),
            ),
        ),
        Row(
            "Rollouts and the API server",
            (
                Panel(
                    "Transitions of rollouts in an hour",
                    "sum by (transition) (increase(imageclassifier_rollout_transitions_total[1h]))",
                    "{{transition}}",
                ),
                Panel(
                    "Time until all gateways use a routing, 99th percentile",
                    quantile("0.99", "imageclassifier_routing_acknowledged_seconds", "", ""),
                    "time",
                    "s",
                ),
                Panel(
                    "Requests to the API server per second",
                    per_second("imageclassifier_api_requests_total", "verb, status", ""),
                    "{{verb}} {{status}}",
                    "reqps",
                ),
                Panel(
                    "Probes of gateways per second",
                    per_second("imageclassifier_gateway_probes_total", "result", ""),
                    "{{result}}",
                    "ops",
                ),
            ),
        ),
    ),
)
