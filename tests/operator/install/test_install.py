"""The installation: generated from its sources, accepted by the API server, and with minimal rights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bare_apiserver import ApiError, ControlPlane
from imageclassifier_operator import settings
from imageclassifier_operator.api import names
from imageclassifier_operator.runtime import leader_election
from install_checkers import RELEASE

REPOSITORY = Path(__file__).parents[3]
INSTALL = REPOSITORY / "operator/install"


def documents(*options: str) -> list[dict[str, Any]]:
    """What the renderer prints for these options."""
    command = [sys.executable, str(INSTALL / "render.py"), *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def one(kind: str, *options: str) -> dict[str, Any]:
    [found] = [document for document in documents(*options) if document["kind"] == kind]
    return found


def test_the_operator_finds_every_setting_that_it_needs() -> None:
    for options in ((), ("--one-namespace",)):
        [container] = one("Deployment", *options)["spec"]["template"]["spec"]["containers"]
        environment = {entry["name"]: entry.get("value", "from the pod") for entry in container["env"]}
        read = settings.Settings.from_environment(environment)
        assert read.gateway_image == f"imageclassifier/gateway:{RELEASE}"
        assert read.serving_image == settings.DEFAULT_SERVING_IMAGE
        assert (read.watch_namespace is None) == (options == ())
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"metrics": read.metrics_port, "probes": read.probe_port}


def test_the_lease_that_may_be_written_is_the_one_that_is_used() -> None:
    [rules] = [
        document["rules"]
        for document in documents()
        if document["metadata"]["name"] == "imageclassifier-operator-leader-election"
        and document["kind"] == "Role"
    ]
    assert [rule.get("resourceNames") for rule in rules] == [None, [leader_election.LEASE_NAME]]


def test_the_operators_pods_are_those_that_the_gateways_let_in() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels[names.LABEL_NAME] == names.MANAGER


def test_an_own_registry_is_put_in_front_of_our_images_only() -> None:
    deployment = one("Deployment", "--image-registry", "registry.example/team")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example/team/operator:{RELEASE}"
    values = [entry.get("value") for entry in container["env"]]
    assert values[:2] == [f"registry.example/team/gateway:{RELEASE}", "tensorflow/serving:2.19.1"]


def test_one_namespace_needs_no_right_in_the_cluster() -> None:
    kinds = {document["kind"] for document in documents("--one-namespace", "--namespace", "team-a")}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"}
    for document in documents("--one-namespace", "--namespace", "team-a"):
        assert document["metadata"]["namespace"] == "team-a"


def test_no_verb_is_a_wildcard_and_no_secret_can_be_read() -> None:
    for document in documents():
        for rule in document.get("rules", ()):
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            assert not {"secrets", "serviceaccounts", "roles", "nodes"} & set(rule["resources"])


@pytest.fixture(scope="module")
def installed(apiserver: ControlPlane) -> ControlPlane:
    """An API server with install.yaml applied to it."""
    apiserver.kubectl("apply", "-f", str(INSTALL / "install.yaml"))
    apiserver.wait_until_established(f"{names.PLURAL}.{names.GROUP}")
    return apiserver


@pytest.mark.apiserver
def test_plain_kubectl_apply_installs_all_of_it_and_again_would_change_nothing(
    apiserver: ControlPlane,
) -> None:
    apiserver.kubectl("apply", "-f", str(INSTALL / "install.yaml"))
    assert apiserver.kubectl("diff", "-f", str(INSTALL / "install.yaml")) == ""


@pytest.mark.apiserver
def test_who_has_all_rights_in_a_namespace_and_none_beyond_can_install_it_there(
    apiserver: ControlPlane, namespace: str
) -> None:
    apiserver.kubectl("apply", "-f", str(REPOSITORY / "crds/imageclassifiers.yaml"))
    apiserver.kubectl("create", "serviceaccount", "owner", "-n", namespace)
    owner = ["--clusterrole=cluster-admin", f"--serviceaccount={namespace}:owner"]
    apiserver.kubectl("create", "rolebinding", "owner", *owner, "-n", namespace)
    kubeconfig = str(apiserver.kubeconfig_of_service_account(namespace, "owner"))
    text = yaml.safe_dump_all(documents("--one-namespace", "--namespace", namespace))
    apiserver.kubectl("apply", "-f", "-", "--kubeconfig", kubeconfig, stdin=text)


@pytest.mark.apiserver
def test_the_operators_pod_is_restricted(installed: ControlPlane) -> None:
    pod = one("Deployment")["spec"]["template"]
    body = {"metadata": {"name": "pod", "labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}
    path = "/api/v1/namespaces/imageclassifier-system/pods?dryRun=All"
    installed.request("POST", path, body)
    with pytest.raises(ApiError, match="violates PodSecurity"):
        installed.request("POST", path, {**body, "spec": {**body["spec"], "securityContext": {}}})


# compose.yaml is for Docker Compose, not for Kubernetes.
EXAMPLES = sorted(set((REPOSITORY / "examples").glob("*.yaml")) - {REPOSITORY / "examples/compose.yaml"})


@pytest.mark.apiserver
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.stem))
def test_every_example_is_taken_by_the_api_server(
    installed: ControlPlane, namespace: str, example: Path
) -> None:
    if example.stem == "pizza-v2":
        installed.kubectl("apply", "-n", namespace, "-f", str(REPOSITORY / "examples/pizza.yaml"))
        patch = ["patch", "imageclassifier", "pizza", "--type=merge", f"--patch-file={example}"]
        assert "patched" in installed.kubectl(*patch, "-n", namespace)
    else:
        installed.kubectl(
            "apply", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", str(example)
        )


@pytest.mark.apiserver
@pytest.mark.parametrize("example", ["pvc", "training-job", "batch"])
def test_the_pods_of_an_example_are_allowed_where_pods_must_be_restricted(
    installed: ControlPlane, example: str
) -> None:
    text = (REPOSITORY / f"examples/{example}.yaml").read_text(encoding="utf-8")
    found = {each["kind"]: each for each in yaml.safe_load_all(text)}
    pods = [found["Job"]["spec"]["template"]["spec"], *([found["Pod"]["spec"]] if "Pod" in found else [])]
    for spec in pods:
        body = {"metadata": {"name": "pod"}, "spec": spec}
        installed.request("POST", "/api/v1/namespaces/imageclassifier-system/pods?dryRun=All", body)
