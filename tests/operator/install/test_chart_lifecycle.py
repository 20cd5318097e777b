"""The chart's life at a real API server: installed, upgraded, uninstalled, installed over the YAML.

No pod needs to run for it. tests/cluster/test_chart.py does the same with pods, on Kind.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver import ApiError, ControlPlane
from imageclassifier_operator.api import names
from install_checkers import CHART, INSTALL, helm, output

pytestmark = pytest.mark.apiserver

CRD = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.PLURAL}.{names.GROUP}"
RELEASE = "imageclassifier"
#: For objects that something else has installed before. Helm 4 applies on the server, which otherwise keeps
#: the fields for kubectl.
TAKE_OVER = ("--take-ownership", "--force-conflicts")

Helm = Callable[..., str]


@pytest.fixture
def run_helm(apiserver: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Helm]:
    """Runs Helm in the namespace of the test. The release is uninstalled afterwards."""

    def run(*arguments: str) -> str:
        cluster = (f"--kubeconfig={apiserver.kubeconfig}", f"--namespace={namespace}")
        return helm(tmp_path / "helm", *arguments, *cluster)

    yield run
    run("uninstall", RELEASE, "--ignore-not-found")


@pytest.fixture
def older_chart(tmp_path: Path) -> Path:
    """A chart of an earlier release, whose CRD has another description."""
    older = shutil.copytree(CHART, tmp_path / "older")
    crd = older / "templates/generated/crd.yaml"
    text = crd.read_text(encoding="utf-8")
    changed = text.replace("shortNames: [ic, imgc]", "shortNames: [ic]")
    assert changed != text
    crd.write_text(changed, encoding="utf-8")
    return older


def short_names(apiserver: ControlPlane) -> list[str]:
    found: list[str] = apiserver.request("GET", CRD)["spec"]["names"]["shortNames"]
    return found


def deployment(apiserver: ControlPlane, namespace: str) -> dict[str, Any]:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/imageclassifier-operator"
    found: dict[str, Any] = apiserver.request("GET", path)
    return found


def test_an_upgrade_changes_the_crd_and_an_uninstallation_keeps_it_with_its_objects(
    apiserver: ControlPlane, namespace: str, run_helm: Helm, older_chart: Path
) -> None:
    run_helm("install", RELEASE, str(older_chart), *TAKE_OVER)
    assert short_names(apiserver) == ["ic"]
    apiserver.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
    apiserver.kubectl("apply", "-n", namespace, "-f", str(INSTALL.parents[1] / "examples/pizza.yaml"))
    run_helm("upgrade", RELEASE, str(CHART), "--set=replicas=3")
    assert short_names(apiserver) == ["ic", "imgc"]
    assert deployment(apiserver, namespace)["spec"]["replicas"] == 3
    run_helm("upgrade", RELEASE, str(CHART), "--set=crd.install=false")
    run_helm("uninstall", RELEASE)
    with pytest.raises(ApiError, match="not found"):
        deployment(apiserver, namespace)
    assert short_names(apiserver) == ["ic", "imgc"]
    assert "pizza" in apiserver.kubectl("get", "imageclassifiers", "-n", namespace)
    run_helm("install", RELEASE, str(CHART), *TAKE_OVER)


def test_the_chart_takes_over_what_the_yaml_has_installed(
    apiserver: ControlPlane, namespace: str, run_helm: Helm
) -> None:
    render: list[str | Path] = ["python3", INSTALL / "render.py", f"--namespace={namespace}"]
    apiserver.kubectl("apply", "-f", "-", stdin=output(render))
    before = deployment(apiserver, namespace)["metadata"]["uid"]
    run_helm("install", RELEASE, str(CHART), *TAKE_OVER, "--set=replicas=1")
    after = deployment(apiserver, namespace)
    assert after["metadata"]["uid"] == before
    assert after["spec"]["replicas"] == 1
