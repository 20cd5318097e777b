"""The bundle for OLM: valid by the validator of OLM, with the rights and the Deployment of the YAML."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bare_apiserver import ControlPlane
from crd_objects import CRD_FILE
from imageclassifier_operator import settings
from install_checkers import INSTALL, by_name, checker, documents, output
from operator_process import install_crd

BUNDLE = INSTALL / "olm"
WATCH = "IMAGECLASSIFIER_WATCH_NAMESPACE"


def service_version() -> dict[str, Any]:
    path = BUNDLE / "manifests/imageclassifier.clusterserviceversion.yaml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def objections(bundle: Path) -> list[str]:
    """The errors and warnings of OLM's validator."""
    said = output(["sh", "-c", f"{checker('operator-verify')} manifests --object_validate {bundle} 2>&1"])
    return [line for line in said.splitlines() if re.search(r"level=(error|warning|fatal)", line)]


def test_the_validator_of_olm_has_no_objection() -> None:
    assert objections(BUNDLE) == []


def test_the_validator_objects_to_a_bundle_whose_crd_has_another_name(tmp_path: Path) -> None:
    output(["cp", "-r", BUNDLE, tmp_path])
    crd = tmp_path / "olm/manifests/imageclassifiers.crd.yaml"
    text = crd.read_text(encoding="utf-8").replace(
        "imageclassifiers.imageclassifier.dev", "others.example.org"
    )
    crd.write_text(text, encoding="utf-8")
    assert any("others.example.org" in each for each in objections(tmp_path / "olm"))


def test_the_bundle_has_the_rights_and_the_deployment_of_the_yaml() -> None:
    install = service_version()["spec"]["install"]["spec"]
    expected = by_name(documents((INSTALL / "install.yaml").read_text(encoding="utf-8")))
    [permission] = install["permissions"]
    account = ("ServiceAccount", permission["serviceAccountName"])
    assert account in expected
    assert permission["rules"] == [
        *expected["ClusterRole", "imageclassifier-operator"]["rules"],
        *expected["Role", "imageclassifier-operator-leader-election"]["rules"],
    ]
    [deployment] = install["deployments"]
    own = expected["Deployment", deployment["name"]]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    watch = next(each for each in container["env"] if each["name"] == WATCH)
    container["env"].remove(watch)
    assert watch["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['olm.targetNamespaces']"
    assert (deployment["label"], deployment["spec"]) == (own["metadata"]["labels"], own["spec"])
    # OLM leaves the annotation empty if the operator watches all namespaces.
    environment = {each["name"]: each.get("value", "x") for each in container["env"]}
    assert settings.Settings.from_environment({**environment, WATCH: ""}).watch_namespace is None


def test_the_bundle_has_the_other_objects_of_the_yaml_except_those_that_olm_makes() -> None:
    texts = (path.read_text(encoding="utf-8") for path in (BUNDLE / "manifests").glob("*.yaml"))
    bundled = by_name([document for text in texts for document in documents(text)])
    expected = by_name(documents((INSTALL / "install.yaml").read_text(encoding="utf-8")))
    for (kind, name), document in bundled.items():
        if kind == "ClusterServiceVersion":
            continue
        other = expected.pop((kind, name))
        other["metadata"].pop("namespace", None)
        assert document == other
    assert {kind for kind, _ in expected} == {
        "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
        "Deployment",
    }  # fmt: skip


def test_the_images_of_the_bundle_can_be_mirrored() -> None:
    spec = service_version()["spec"]
    [deployment] = spec["install"]["spec"]["deployments"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    told = [each["value"] for each in container["env"] if each["name"].endswith("_IMAGE")]
    assert [each["image"] for each in spec["relatedImages"]] == [container["image"], *told]


@pytest.mark.apiserver
def test_the_example_of_the_bundle_is_accepted(apiserver: ControlPlane, namespace: str) -> None:
    install_crd(apiserver, CRD_FILE)
    [example] = json.loads(service_version()["metadata"]["annotations"]["alm-examples"])
    path = f"/apis/imageclassifier.dev/v1alpha1/namespaces/{namespace}/imageclassifiers"
    query = "dryRun=All&fieldValidation=Strict"
    assert apiserver.request("POST", f"{path}?{query}", example)["spec"]["model"]["version"] == 1
