"""The dashboard of one ImageClassifier."""

from dashboards.grafana import Dashboard, Panel, Row, per_second, quantile, share

ONE = 'namespace="$namespace", classifier="$classifier"'
_KEY_REQUESTS = "imageclassifier_gateway_key_requests_total"
_PREDICTIONS = "imageclassifier_gateway_predictions_total"
_VERSION_REQUESTS = "imageclassifier_gateway_model_requests_total"


def _pods(metric: str) -> str:
    return f"max by (pod) (imageclassifier_gateway_{metric}{{{ONE}}})"


CLASSIFIER = Dashboard(
    uid="imageclassifier",
    title="ImageClassifier",
    variables={
        "namespace": ("imageclassifier_condition", "namespace"),
        "classifier": ('imageclassifier_condition{namespace="$namespace"}', "name"),
    },
    several=False,
    rows=(
        Row(
            "State",
            (
                Panel(
                    "Conditions",
                    "max by (condition, status, reason) "
                    '(imageclassifier_condition{namespace="$namespace", name="$classifier"})',
                    table=("condition", "status", "reason"),
                    meaning="docs/runbooks.md has a section for each reason.",
                ),
                Panel("Gateways", f"count(imageclassifier_gateway_routing_revision{{{ONE}}})"),
            ),
        ),
        Row(
            "Requests",
            (
                Panel(
                    "Responses per second by status",
                    per_second("imageclassifier_gateway_requests_total", "status", ONE),
                    "{{status}}",
                    "reqps",
                ),
                Panel(
                    "Problems per second by cause",
                    per_second("imageclassifier_gateway_errors_total", "cause", ONE),
                    "{{cause}}",
                    "ops",
                ),
                Panel(
                    "Requests with an API key per second, by client",
                    f"topk(20, {per_second(_KEY_REQUESTS, 'key, outcome', ONE)})",
                    "{{key}}: {{outcome}}",
                    "reqps",
                    "The 20 busiest clients. Limited: more than the rate of the key allows.",
                ),
                Panel(
                    "URL fetches per second by outcome",
                    per_second("imageclassifier_gateway_url_fetches_total", "outcome", ONE),
                    "{{outcome}}",
                    "ops",
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    "Median by stage",
                    quantile("0.5", "imageclassifier_gateway_stage_duration_seconds", "stage", ONE),
                    "{{stage}}",
                    "s",
                ),
                Panel(
                    "99th percentile by stage",
                    quantile("0.99", "imageclassifier_gateway_stage_duration_seconds", "stage", ONE),
                    "{{stage}}",
                    "s",
                    "total is the whole request.",
                ),
            ),
        ),
        Row(
            "Versions",
            (
                Panel(
                    "Share of the traffic",
                    f"{per_second(_VERSION_REQUESTS, 'version', ONE)}\n/ on () group_left ()\n"
                    f"sum (rate({_VERSION_REQUESTS}{{{ONE}}}[$__rate_interval]))",
                    "version {{version}}",
                    "percentunit",
                ),
                Panel(
                    "Share of requests that a version fails",
                    share(
                        per_second("imageclassifier_gateway_model_errors_total", "version", ONE),
                        per_second(_VERSION_REQUESTS, "version", ONE),
                    ),
                    "version {{version}}",
                    "percentunit",
                    "Without failures that a client can cause.",
                ),
                Panel(
                    "99th percentile of the latency per picture",
                    quantile("0.99", "imageclassifier_gateway_model_latency_seconds", "version", ONE),
                    "version {{version}}",
                    "s",
                ),
            ),
        ),
        Row(
            "Predictions",
            (
                Panel(
                    "Pictures per second by version and label",
                    f"topk(20, {per_second(_PREDICTIONS, 'version, label', ONE)})",
                    "version {{version}}: {{label}}",
                    "ops",
                    "The 20 most frequent. If the labels shift after a rollout or over weeks, look at the "
                    "pictures.",
                ),
                Panel(
                    "Pictures per second from the cache",
                    per_second("imageclassifier_gateway_cached_predictions_total", "pod", ONE),
                    "{{pod}}",
                    "ops",
                    "Answers without the model.",
                ),
                Panel(
                    "Copies to the shadow per second",
                    per_second("imageclassifier_gateway_shadow_total", "version, outcome", ONE),
                    "version {{version}}: {{outcome}}",
                    "ops",
                ),
            ),
        ),
        Row(
            "Load of each gateway",
            (
                Panel("Requests in progress", _pods("requests_in_flight"), "{{pod}}"),
                Panel("Pictures that wait to be decoded", _pods("decodes_waiting"), "{{pod}}"),
                Panel("Memory that requests hold", _pods("held_bytes"), "{{pod}}", "bytes"),
                Panel("Open connections", _pods("connections"), "{{pod}}"),
            ),
        ),
        Row(
            "Health of each gateway",
            (
                Panel(
                    "Revision of the routing",
                    _pods("routing_revision"),
                    "{{pod}}",
                    meaning="Equal on all gateways, except for seconds.",
                ),
                Panel("Routing file cannot be read", _pods("routing_broken"), "{{pod}}"),
                Panel(
                    "Connections closed to make room, per second",
                    per_second("imageclassifier_gateway_evicted_connections_total", "state", ONE),
                    "{{state}}",
                    "ops",
                ),
                Panel(
                    "Log lines dropped per second",
                    per_second("imageclassifier_gateway_dropped_log_lines_total", "pod", ONE),
                    "{{pod}}",
                    "ops",
                ),
            ),
        ),
    ),
)
