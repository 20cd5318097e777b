"""The kustomize bases: the same objects as the YAML, and overlays on them."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from install_checkers import INSTALL, RELEASE, by_name, documents, kustomize

Objects = dict[tuple[str, str], dict[str, Any]]


def in_one_line(value: Any) -> Any:
    """The value with each text in one line.

    kustomize adds empty lines to folded texts with indented lines, which are rules in CEL.
    """
    if isinstance(value, dict):
        return {key: in_one_line(each) for key, each in value.items()}
    if isinstance(value, list):
        return [in_one_line(each) for each in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def yaml_objects(file: str) -> Objects:
    return by_name(documents((INSTALL / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("base", "file"), [("cluster", "install.yaml"), ("one-namespace", "install-one-namespace.yaml")]
)
def test_a_base_has_the_objects_of_the_yaml(base: str, file: str) -> None:
    built = by_name(kustomize(INSTALL / "kustomize" / base))
    assert in_one_line(built) == in_one_line(yaml_objects(file))


def test_the_example_of_an_overlay_changes_images_and_adds_settings() -> None:
    objects = by_name(kustomize(INSTALL / "kustomize/overlay"))
    expected = yaml_objects("install.yaml")
    [container] = objects["Deployment", "imageclassifier-operator"]["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert container["image"] == f"registry.example.org/team/operator:{RELEASE}"
    assert environment["IMAGECLASSIFIER_GATEWAY_IMAGE"] == f"registry.example.org/team/gateway:{RELEASE}"
    assert environment["IMAGECLASSIFIER_SERVING_IMAGE"] == "tensorflow/serving:2.19.1"
    assert environment["IMAGECLASSIFIER_PROMETHEUS_NAMESPACE"] == "monitoring"
    changed = ("Deployment", "imageclassifier-operator")
    assert in_one_line({**objects, changed: None}) == in_one_line({**expected, changed: None})


def test_the_overlay_names_the_images_also_if_the_bases_have_a_registry_already(tmp_path: Path) -> None:
    """`make install-yaml IMAGE_REGISTRY=...` writes the registry into the bases."""
    root = tmp_path / "root"
    shutil.copytree(INSTALL, root / "operator/install")
    shutil.copytree(INSTALL.parents[1] / "crds", root / "crds")
    arguments = ["--image-registry", "other.example.org/x", "--serving-image", "other.example.org/serving:1"]
    subprocess.run([sys.executable, root / "operator/install/make_files.py", *arguments], check=True)
    objects = by_name(kustomize(root / "operator/install/kustomize/overlay"))
    [container] = objects["Deployment", "imageclassifier-operator"]["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert container["image"] == f"registry.example.org/team/operator:{RELEASE}"
    assert environment["IMAGECLASSIFIER_GATEWAY_IMAGE"] == f"registry.example.org/team/gateway:{RELEASE}"
    assert environment["IMAGECLASSIFIER_SERVING_IMAGE"] == "other.example.org/serving:1"


def test_an_overlay_installs_for_another_namespace(tmp_path: Path) -> None:
    overlay = tmp_path / "team-a"
    overlay.mkdir()
    # kustomize takes only relative paths.
    base = Path("..", *[".."] * (len(tmp_path.parts) - 1), *INSTALL.parts[1:], "kustomize/one-namespace")
    kustomization = {"namespace": "team-a", "resources": [str(base)]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    command = [sys.executable, INSTALL / "render.py", "--one-namespace", "--namespace=team-a"]
    expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert by_name(kustomize(overlay)) == by_name(documents(expected))
