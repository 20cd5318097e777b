"""The Helm chart: the same objects as the YAML, values that are checked, and the monitoring objects."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from imageclassifier_operator import settings
from install_checkers import CHART, INSTALL, RELEASE, CheckFailedError, by_name, documents, helm, output

SYSTEM = "imageclassifier-system"
ONE_NAMESPACE = ("--set=scope=namespace",)
CRD = ("CustomResourceDefinition", "imageclassifiers.imageclassifier.dev")
OPERATOR = ("Deployment", "imageclassifier-operator")
KINDS = (
    "--api-versions=monitoring.coreos.com/v1/PodMonitor",
    "--api-versions=monitoring.coreos.com/v1/PrometheusRule",
)
KEEP = {"helm.sh/resource-policy": "keep"}

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("helm")


def rendered(home: Path, *options: str, namespace: str = SYSTEM) -> Objects:
    command = ("template", "imageclassifier", str(CHART), f"--namespace={namespace}", *options)
    return by_name(documents(helm(home, *command)))


def operator_container(objects: Objects) -> dict[str, Any]:
    [container] = objects[OPERATOR]["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def environment_of(objects: Objects) -> dict[str, str]:
    return {each["name"]: each.get("value", "from the pod") for each in operator_container(objects)["env"]}


def test_with_default_values_the_chart_renders_the_objects_of_install_yaml(home: Path) -> None:
    objects = rendered(home)
    assert objects[CRD]["metadata"].pop("annotations") == KEEP
    expected = by_name(documents((INSTALL / "install.yaml").read_text(encoding="utf-8")))
    del expected["Namespace", SYSTEM]  # Helm makes it, with --create-namespace
    assert objects == expected


def test_for_one_namespace_the_chart_renders_the_objects_of_its_yaml(home: Path) -> None:
    text = (INSTALL / "install-one-namespace.yaml").read_text(encoding="utf-8")
    assert rendered(home, *ONE_NAMESPACE, namespace="imageclassifier") == by_name(documents(text))


@pytest.mark.parametrize("options", [(), ONE_NAMESPACE], ids=["cluster", "one namespace"])
def test_helms_linter_has_no_objection(home: Path, options: tuple[str, ...]) -> None:
    assert "0 chart(s) failed" in helm(home, "lint", "--strict", str(CHART), *options)


def test_the_release_of_the_chart_is_that_of_the_images() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    [release] = [
        line.split('"')[1]
        for line in (INSTALL / "render.py").read_text(encoding="utf-8").splitlines()
        if line.startswith("RELEASE =")
    ]
    assert (chart["version"], chart["appVersion"]) == (release, release)


VALUES: dict[str, Any] = {
    "crd": {"install": False},
    "images": {
        "registry": "registry.example.org/team",
        "operator": "registry.example.org/operator@sha256:" + "a" * 64,
        "serving": "registry.example.org:5000/serving:2",
        "pullPolicy": "Always",
        "pullSecrets": ["registry"],
    },
    "replicas": 3,
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    "podSecurityContext": {"runAsUser": None, "runAsGroup": None},
    "podAnnotations": {"example.org/a": "b"},
    "podLabels": {"team": "vision"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"}],
    "serviceAccount": {"annotations": {"example.org/role": "operator"}},
    "userRoles": {"create": False},
    "maxGatewayUpdates": 1_000_000,
    "monitoring": {"prometheusNamespace": "monitoring"},
}
"""Every value that changes the operator's own objects, with a value other than the default."""


@pytest.fixture(scope="module")
def changed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Objects:
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(json.dumps(VALUES), encoding="utf-8")
    return rendered(home, f"--values={path}")


def test_each_value_has_its_effect(changed: Objects) -> None:
    assert {kind for kind, _ in changed} == {
        "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment",
        "PodDisruptionBudget",
    }  # fmt: skip
    assert ("ClusterRole", "imageclassifier-edit") not in changed
    spec = changed[OPERATOR]["spec"]
    pod = spec["template"]["spec"]
    container = operator_container(changed)
    assert spec["replicas"] == 3
    assert container["image"] == VALUES["images"]["operator"]
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"] == VALUES["resources"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for name in ("priorityClassName", "nodeSelector", "tolerations", "affinity"):
        assert pod[name] == VALUES[name]
    metadata = spec["template"]["metadata"]
    assert metadata["annotations"] == VALUES["podAnnotations"]
    assert metadata["labels"] == {"app.kubernetes.io/name": "imageclassifier-operator", "team": "vision"}
    account = changed["ServiceAccount", "imageclassifier-operator"]
    assert account["metadata"]["annotations"] == VALUES["serviceAccount"]["annotations"]


def test_the_operator_reads_the_settings_that_the_chart_gives_it(changed: Objects) -> None:
    environment = environment_of(changed)
    assert environment["HTTPS_PROXY"] == "http://proxy.example.org:3128"
    read = settings.Settings.from_environment(environment)
    assert read.gateway_image == f"registry.example.org/team/gateway:{RELEASE}"
    assert read.serving_image == "registry.example.org:5000/serving:2"
    assert read.max_gateway_updates == 1_000_000
    assert read.prometheus_namespace == "monitoring"


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("scope=everywhere", "scope"),
        ("replicas=0", "replicas"),
        ("replicas=two", "replicas"),
        ("images.registry=registry.example.org/", "registry"),
        ("images.serving=", "serving"),
        ("images.operator=an image", "operator"),
        ("images.operatorDigest=sha256:12", "operatorDigest"),
        ("images.pullPolicy=Sometimes", "pullPolicy"),
        ("replica=2", "replica"),
        ("image.registry=x", "image"),
        ("crd.install=maybe", "install"),
        ("maxGatewayUpdates=0", "maxGatewayUpdates"),
        ("monitoring.prometheusNamespace=Monitoring", "prometheusNamespace"),
        ("monitoring.rules.create=true", "create"),
        ("monitoring.podMonitors.interval=often", "interval"),
        ("podLabels.app\\.kubernetes\\.io/name=other", "podLabels"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_field(home: Path, option: str, field: str) -> None:
    with pytest.raises(CheckFailedError, match=rf"(?s)values don't meet the specifications.*{field}"):
        rendered(home, f"--set={option}")


def test_the_schema_describes_exactly_the_values() -> None:
    def names_of(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> None:
        properties = schema["properties"]
        assert set(values) == set(properties) - {"global"}, path or "values"
        for name, value in values.items():
            if isinstance(value, dict) and "properties" in properties[name] and name != "resources":
                names_of(value, properties[name], f"{path}.{name}")

    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    names_of(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), schema)


def test_monitoring_objects_need_their_kinds(home: Path) -> None:
    monitors = {("PodMonitor", "imageclassifier-operator"), ("PodMonitor", "imageclassifier-gateways")}
    rules = {("PrometheusRule", "imageclassifier")}
    plain = set(rendered(home))
    assert not plain & (monitors | rules)
    assert set(rendered(home, *KINDS)) - plain == monitors | rules
    assert set(rendered(home, *KINDS[:1])) - plain == monitors
    assert set(rendered(home, *KINDS, "--set=monitoring.rules.create=never")) - plain == monitors
    assert set(rendered(home, "--set=monitoring.rules.create=always")) - plain == rules


def test_the_pod_monitors_select_the_pods_and_ports_that_exist(home: Path) -> None:
    objects = rendered(home, *KINDS, "--set=monitoring.podMonitors.labels.release=prometheus")
    monitor = objects["PodMonitor", "imageclassifier-operator"]
    template = objects[OPERATOR]["spec"]["template"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in [port["name"] for port in operator_container(objects)["ports"]]
    one = rendered(home, *KINDS, *ONE_NAMESPACE)["PodMonitor", "imageclassifier-gateways"]
    everywhere = objects["PodMonitor", "imageclassifier-gateways"]
    assert everywhere["spec"].pop("namespaceSelector") == {"any": True}
    assert one["spec"] == everywhere["spec"]


def test_the_rule_object_has_the_rules_of_the_plain_file_and_links_to_your_runbooks(home: Path) -> None:
    text = (CHART / "monitoring/rules.yaml").read_text(encoding="utf-8")
    assert rendered(home, *KINDS)["PrometheusRule", "imageclassifier"]["spec"] == yaml.safe_load(text)
    own = "https://docs.example.org/runbooks/"
    objects = rendered(home, *KINDS, f"--set=monitoring.rules.runbooks={own}")
    urls = [
        rule["annotations"]["runbook_url"]
        for group in objects["PrometheusRule", "imageclassifier"]["spec"]["groups"]
        for rule in group["rules"]
    ]
    assert all(url.startswith(f"{own}#") for url in urls)


def test_the_dashboards_are_config_maps_that_grafanas_sidecar_finds(home: Path) -> None:
    objects = rendered(home, "--set=monitoring.dashboards.create=always")
    for name in ("fleet", "classifier"):
        config_map = objects["ConfigMap", f"imageclassifier-dashboard-{name}"]
        assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
        [text] = config_map["data"].values()
        assert json.loads(text) == json.loads((CHART / f"monitoring/{name}.json").read_text(encoding="utf-8"))


def test_the_generated_files_are_current_and_a_stale_or_forgotten_one_is_named(tmp_path: Path) -> None:
    assert output(["python3", INSTALL / "make_files.py", "--check"]) == ""
    copy = tmp_path / "operator/install"
    output(["cp", "-r", INSTALL.parents[1] / "crds", tmp_path])
    copy.parent.mkdir()
    output(["cp", "-r", INSTALL, copy])
    (copy / "sources/namespace.yaml").write_text("kind: Namespace\n", encoding="utf-8")
    (copy / "chart/templates/generated/old.yaml").write_text("", encoding="utf-8")
    with pytest.raises(CheckFailedError) as failure:
        output(["python3", copy / "make_files.py", "--check"])
    stale = [line.split(" is not current")[0] for line in str(failure.value).splitlines()]
    assert stale == ["chart/templates/generated/old.yaml", "install.yaml", "kustomize/cluster/operator.yaml"]
