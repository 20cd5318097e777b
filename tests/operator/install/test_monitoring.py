"""The alert rules and the dashboards, checked by the real promtool and a real Prometheus."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from waiting import wait_until

from imageclassifier_gateway.stats import Stats
from imageclassifier_operator import metrics
from imageclassifier_operator.api.reasons import Reason
from install_checkers import CHART, INSTALL, REPOSITORY, by_name, checker, documents, output
from rendered import SPECS, all_children
from scraped import Prometheus, scraping_prometheus

MONITORING = CHART / "monitoring"
RULES = MONITORING / "rules.yaml"
RULE_TESTS = sorted(Path(__file__).parent.glob("*.test.yaml"))
RUNBOOKS = REPOSITORY / "docs/runbooks.md"
HEALTHY = {Reason.AVAILABLE, Reason.READY, Reason.AT_REST}
METRIC = re.compile(r"\bimageclassifier_[a-z_]+\b")


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in MONITORING.glob("*.json")}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries(dashboard: dict[str, Any]) -> dict[str, str]:
    """The queries by the titles of their panels, with values for the variables."""
    values = {"$namespace": "food", "$classifier": "pizza", "$__rate_interval": "1m"}
    found = {panel["title"]: panel["targets"][0]["expr"] for panel in panels(dashboard)}
    assert len(found) == len(panels(dashboard)), "two panels have the same title"
    for name, value in values.items():
        found = {title: query.replace(name, value) for title, query in found.items()}
    return found


def samples_of(registry: CollectorRegistry) -> set[str]:
    """The names of the samples that a registry exports."""
    suffixes = {
        "counter": ["_total"],
        "histogram": ["_bucket", "_sum", "_count"],
    }
    return {
        f"{family.name}{suffix}"
        for family in registry.collect()
        for suffix in suffixes.get(family.type, [""])
    }


def exported() -> set[str]:
    return samples_of(metrics.REGISTRY) | samples_of(Stats()._registry)


def test_promtool_accepts_the_rules_and_their_unit_tests_pass() -> None:
    output([checker("promtool"), "check", "rules", "--lint=all", "--lint-fatal", RULES])
    output([checker("promtool"), "test", "rules", *RULE_TESTS])


def test_each_alert_has_a_unit_test_in_which_it_fires() -> None:
    tests = [
        test for path in RULE_TESTS for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    ]
    fires = set()
    for test in tests:
        for each in test.get("alert_rule_test", ()):
            fires |= {each["alertname"]} if each["exp_alerts"] else set()
        for each in test.get("promql_expr_test", ()):
            fires |= set(re.findall(r'alertname="(\w+)"', str(each["exp_samples"])))
    assert fires == {rule["alert"] for rule in alerts()}


def test_each_alert_has_a_severity_texts_and_a_link_to_a_section_of_the_runbooks() -> None:
    page = runpy.run_path(str(REPOSITORY / "docs/check_links.py"))["page"]
    anchors = page(RUNBOOKS).anchors
    reasons = {reason.value.lower() for reason in Reason if reason not in HEALTHY}
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert path == "docs/runbooks.md"
        linked = reasons if anchor == "{{ $labels.reason | toLower }}" else {anchor}
        assert linked <= anchors, rule["alert"]


def test_the_runbooks_have_exactly_the_sections_that_reasons_and_alerts_need() -> None:
    sections = re.findall(r"^### (\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
    without_reason = {
        rule["annotations"]["runbook_url"].partition("#")[2]: rule["alert"] for rule in alerts()
    }
    reasons = {reason.value for reason in Reason if reason not in HEALTHY}
    named = {alert for anchor, alert in without_reason.items() if anchor == alert.lower()}
    assert sorted(sections) == sorted(reasons | named)


def test_promtool_parses_every_query_of_the_dashboards(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query}
        for dashboard in dashboards().values()
        for number, query in enumerate(queries(dashboard).values())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    assert f"{len(rules)} rules found" in output([checker("promtool"), "check", "rules", "--lint=none", path])


def test_rules_and_dashboards_name_only_metrics_that_are_exported() -> None:
    texts = [rule["expr"] for rule in alerts()]
    for dashboard in dashboards().values():
        texts += queries(dashboard).values()
        texts += [each.get("definition", "") for each in dashboard["templating"]["list"]]
    named = {name for text in texts for name in METRIC.findall(text)}
    assert named <= exported()


def test_the_dashboards_show_every_metric() -> None:
    shown = {
        re.sub("_(bucket|sum|count)$", "", name)
        for dashboard in dashboards().values()
        for query in queries(dashboard).values()
        for name in METRIC.findall(query)
    }
    assert shown == {re.sub("_(bucket|sum|count)$", "", name) for name in exported()}


@pytest.mark.parametrize("name", ["fleet", "classifier"])
def test_the_panels_have_identities_fill_the_grid_and_use_only_its_variables(name: str) -> None:
    dashboard = dashboards()[name]
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities)
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        here = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not here & cells
        assert at["x"] + at["w"] <= 24
        cells |= here
    known = {each["name"] for each in dashboard["templating"]["list"]} | {"__rate_interval", "__all"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) <= known


def discovered_ports(deployment: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The targets that the discovery of Kubernetes makes from a pod: one for each port of its container."""
    template = deployment["spec"]["template"]
    labels = {"namespace": "food", "pod_name": name}
    for label, value in template["metadata"]["labels"].items():
        labels["pod_label_" + re.sub(r"\W", "_", label)] = value
    meta = {f"__meta_kubernetes_{label}": value for label, value in labels.items()}
    return [
        {
            "targets": [f"127.0.0.1:{port['containerPort']}"],
            "labels": {**meta, "__meta_kubernetes_pod_container_port_name": port["name"]},
        }
        for port in template["spec"]["containers"][0]["ports"]
    ]


def plain_jobs() -> list[dict[str, Any]]:
    """The jobs for a Prometheus without its operator, with two pods that it has discovered.

    Debian's Prometheus lacks the discovery of Kubernetes, so its result is written into the configuration.
    """
    objects = by_name(documents((INSTALL / "install.yaml").read_text(encoding="utf-8")))
    deployments = {
        "operator": objects["Deployment", "imageclassifier-operator"],
        "gateway": all_children(SPECS["smallest"])["Deployment", "pizza-gateway"],
    }
    jobs = yaml.safe_load((MONITORING / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    for job in jobs:
        [discovery] = job.pop("kubernetes_sd_configs")
        assert discovery["role"] == "pod"
        wanted = dict(pair.split("=") for pair in discovery["selectors"][0]["label"].split(","))
        job["static_configs"] = [
            target
            for name, deployment in deployments.items()
            if wanted.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
            for target in discovered_ports(deployment, name)
        ]
    found: list[dict[str, Any]] = jobs
    return found


@pytest.fixture(scope="module")
def scraping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with scraping_prometheus(tmp_path_factory.mktemp("prometheus"), RULES, plain_jobs()) as running:
        yield running


@pytest.mark.parametrize("name", ["fleet", "classifier"])
def test_every_query_of_a_dashboard_finds_series_with_the_labels_of_its_legend(
    scraping: Prometheus, name: str
) -> None:
    dashboard = dashboards()[name]
    targets = {panel["title"]: panel["targets"][0] for panel in panels(dashboard)}
    for title, query in queries(dashboard).items():
        series = scraping.query(query)
        assert series, f"the query of '{title}' finds nothing: {query}"
        for label in re.findall(r"{{(\w+)}}", targets[title].get("legendFormat", "")):
            assert all(label in each["metric"] for each in series), (title, label)


def test_the_variables_of_the_dashboards_find_their_values(scraping: Prometheus) -> None:
    for metric, label, value in (
        ("imageclassifier_condition", "namespace", "food"),
        ('imageclassifier_condition{namespace="food"}', "name", "pizza"),
    ):
        assert value in scraping.get(f"label/{label}/values", **{"match[]": metric})


def test_prometheus_evaluates_every_rule_and_the_stalled_classifier_alerts(scraping: Prometheus) -> None:
    def rules() -> dict[str, dict[str, Any]]:
        groups = scraping.get("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    assert set(rules()) == {rule["alert"] for rule in alerts()}
    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules().values()), "an evaluation", 30)
    assert {name: rule["health"] for name, rule in rules().items() if rule["health"] != "ok"} == {}
    [alert] = rules()["ImageClassifierStalled"]["alerts"]
    assert (alert["labels"]["name"], alert["state"]) == ("cats", "firing")
    assert alert["annotations"]["runbook_url"] == "docs/runbooks.md#imagepullfailed"


def test_the_plain_scrape_jobs_give_pods_the_labels_that_the_rules_need(scraping: Prometheus) -> None:
    targets = scraping.get("targets")["activeTargets"]
    labels = [
        target["labels"] for target in targets if target["labels"]["job"].startswith("imageclassifier-")
    ]
    assert {each.pop("pod"): each for each in labels} == {
        "operator": {"job": "imageclassifier-operator", "namespace": "food", "instance": "127.0.0.1:8080"},
        "gateway": {
            "job": "imageclassifier-gateways",
            "namespace": "food",
            "classifier": "pizza",
            "instance": "127.0.0.1:9697",
        },
    }
