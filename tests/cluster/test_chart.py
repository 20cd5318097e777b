"""The Helm chart on the laptop cluster: its pods start, an upgrade replaces them, the CRD outlives it.

The operator of the chart watches one namespace without ImageClassifiers: the installed operator watches all.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laptop import places

pytestmark = pytest.mark.cluster

Kubectl = Any  # of conftest.py, which tests do not import
Wait = Callable[..., Any]
CHART = places.REPOSITORY / "operator/install/chart"
OPERATOR = "--selector=app.kubernetes.io/name=imageclassifier-operator"


@pytest.fixture
def helm(kubectl: Kubectl, tmp_path: Path) -> Callable[..., str]:
    """Runs Helm in the namespace of the test."""
    tool: list[str | Path] = [sys.executable, places.KIND / "tool.py", "helm-binary"]
    program = subprocess.run(tool, capture_output=True, text=True, check=True).stdout.strip()
    homes = {f"HELM_{name}_HOME": str(tmp_path / name) for name in ("CACHE", "CONFIG", "DATA")}

    def run(*arguments: str) -> str:
        cluster = (f"--kube-context={kubectl.context}", f"--namespace={kubectl.namespace}")
        result = subprocess.run(
            [program, *arguments, *cluster],
            capture_output=True, text=True, check=False, env={**os.environ, **homes},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    return run


def test_the_chart_is_installed_upgraded_and_uninstalled(
    installed: dict[str, str],
    kubectl: Kubectl,
    cluster_kubectl: Kubectl,
    helm: Callable[..., str],
    wait_for: Wait,
) -> None:
    values = [
        "--set=scope=namespace",
        f"--set=images.operator={installed['operator']}",
        f"--set=images.gateway={installed['gateway']}",
        f"--set=images.serving={installed['model-server']}",
    ]
    helm("install", "imageclassifier", str(CHART), *values, "--wait", "--timeout=3m")

    def pods() -> dict[str, dict[str, Any]]:
        items = kubectl.get("pods", OPERATOR)["items"]
        return {pod["metadata"]["name"]: pod for pod in items if "deletionTimestamp" not in pod["metadata"]}

    def leader() -> str:
        lease = kubectl.get("lease", "imageclassifier-operator")
        return str(lease["spec"]["holderIdentity"]).partition("_")[0]

    wait_for(lambda: leader() in pods(), "a pod of the release to hold the Lease")
    before = pods()
    assert len(before) == 2
    changed = ("--set=podLabels.team=vision", "--set=replicas=1")
    helm("upgrade", "imageclassifier", str(CHART), *values, *changed, "--wait", "--timeout=3m")
    wait_for(lambda: len(pods()) == 1 and not pods().keys() & before.keys(), "the pods to be replaced")
    [pod] = pods().values()
    assert pod["metadata"]["labels"]["team"] == "vision"
    wait_for(lambda: leader() in pods(), "the new pod to hold the Lease")
    helm("uninstall", "imageclassifier", "--wait", "--timeout=3m")
    assert kubectl.get("deployments,serviceaccounts,roles", OPERATOR)["items"] == []
    assert cluster_kubectl("get", "crd", "imageclassifiers.imageclassifier.dev", "--output=name")
