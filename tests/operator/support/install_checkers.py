"""The programs that check the installation: Helm, kustomize, promtool."""

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from bare_apiserver.programs import find_programs
from laptop import golang, prometheus

REPOSITORY = Path(__file__).parents[3]
INSTALL = REPOSITORY / "operator/install"
CHART = INSTALL / "chart"


class CheckFailedError(Exception):
    """A program ended with an error. The message is what it printed."""


def checker(name: str) -> Path:
    """The path of helm, prometheus or promtool, as `make install-checkers` provides them."""
    path = golang.binary_path(golang.HELM) if name == "helm" else prometheus.directory() / name
    assert path.is_file(), f"There is no {name} for tests yet ({path}). Run `make install-checkers`."
    return path


def output(command: list[str | Path], stdin: str = "", **environment: str) -> str:
    """What a program prints. Raises CheckFailedError if it fails."""
    result = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if result.returncode != 0:
        raise CheckFailedError(result.stdout + result.stderr)
    return result.stdout


def helm(home: Path, *arguments: str) -> str:
    """What Helm prints. Its settings and caches are in `home`."""
    folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    return output([checker("helm"), *arguments], **folders)


def kustomize(folder: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization, as `kubectl kustomize` builds them."""
    return documents(output([find_programs().kubernetes, "kubectl", "kustomize", folder]))


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects by kind and name, which must be unique."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(found) == len(objects)
    return found
