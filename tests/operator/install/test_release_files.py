"""The installation of a release: the YAML, kustomize and the chart name the same images, by digest."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from install_checkers import INSTALL, by_name, documents, helm, kustomize

REGISTRY = "registry.example.org/food"
OPERATOR, GATEWAY, SERVING = (f"sha256:{digit * 64}" for digit in "abc")
SYSTEM = "imageclassifier-system"


def write(folder: Path, *changes: str) -> "subprocess.CompletedProcess[str]":
    command = [
        *(
            sys.executable,
            str(INSTALL / "release_files.py"),
            "--out",
            str(folder),
            "--image-registry",
            REGISTRY,
        ),
        *("--operator-digest", OPERATOR, "--gateway-digest", GATEWAY),
        *("--serving-image", f"tensorflow/serving:2@{SERVING}", *changes),
    ]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("install")
    written = write(folder)
    assert written.returncode == 0, written.stderr
    return folder


def images(objects: list[dict[str, Any]]) -> list[str]:
    """The operator's image, and those that it gives gateways and model servers."""
    pod = by_name(objects)["Deployment", "imageclassifier-operator"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    told = {each["name"]: each.get("value", "") for each in container["env"]}
    names = ("IMAGECLASSIFIER_GATEWAY_IMAGE", "IMAGECLASSIFIER_SERVING_IMAGE")
    return [container["image"], *(told[name] for name in names)]


def chart(folder: Path, home: Path, *options: str) -> list[dict[str, Any]]:
    return documents(helm(home, "template", "x", str(folder / "chart"), f"--namespace={SYSTEM}", *options))


def test_each_way_to_install_pins_every_image(folder: Path, tmp_path: Path) -> None:
    pinned = images(documents((folder / "install.yaml").read_text(encoding="utf-8")))
    operator, gateway, serving = pinned
    assert operator.startswith(f"{REGISTRY}/operator:")
    assert operator.endswith(f"@{OPERATOR}")
    assert gateway.startswith(f"{REGISTRY}/gateway:")
    assert gateway.endswith(f"@{GATEWAY}")
    assert serving == f"tensorflow/serving:2@{SERVING}"
    assert images(documents((folder / "install-one-namespace.yaml").read_text(encoding="utf-8"))) == pinned
    for base in ("cluster", "one-namespace"):
        assert images(kustomize(folder / "kustomize" / base)) == pinned
    assert images(chart(folder, tmp_path)) == pinned
    assert images(chart(folder, tmp_path, "--set=scope=namespace")) == pinned


def test_the_overlay_pins_the_images_too(folder: Path) -> None:
    operator, gateway, serving = images(kustomize(folder / "kustomize/overlay"))
    assert operator.startswith(f"{REGISTRY}/operator")
    assert operator.endswith(f"@{OPERATOR}")
    assert gateway.endswith(f"@{GATEWAY}")
    assert serving.endswith(f"@{SERVING}")


def test_the_digests_hold_in_another_registry(folder: Path, tmp_path: Path) -> None:
    operator, gateway, _ = images(chart(folder, tmp_path, "--set=images.registry=mirror.example.org"))
    assert operator.startswith("mirror.example.org/operator:")
    assert operator.endswith(f"@{OPERATOR}")
    assert gateway.endswith(f"@{GATEWAY}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--operator-digest", "sha256:abc"), "'sha256:abc' is not a digest."),
        (("--serving-image", "tensorflow/serving:2"), "'tensorflow/serving:2' has no digest."),
    ],
)
def test_an_image_without_a_digest_is_refused(tmp_path: Path, changes: tuple[str, str], said: str) -> None:
    written = write(tmp_path, *changes)
    assert written.returncode == 2
    assert said in written.stderr
    assert list(tmp_path.iterdir()) == []
