"""The programs that check manifests: Helm, kustomize, Prometheus, kube-score, and what GitOps tools run."""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from bare_apiserver.programs import find_programs
from laptop import golang, prometheus

REPOSITORY = Path(__file__).parents[3]
INSTALL = REPOSITORY / "operator/install"
CHART = INSTALL / "chart"
RELEASE: str = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]


_ALL_OK = 10
"""The best grade of kube-score. The others are 1 (critical), 5 (a warning) and 7 (almost good)."""


class CheckFailedError(Exception):
    """A program ended with an error. The message is what it printed."""


def checker(name: str) -> Path:
    """The path of a program that `make install-checkers` provides."""
    built = {program.name: program for program in golang.CHECKERS}
    path = golang.binary_path(built[name]) if name in built else prometheus.directory() / name
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


def kube_score(objects: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The objections of kube-score: the objects of each check, with the reason.

    The pods have no CPU limit, so that they use idle cores when they start.
    """
    options = ["--ignore-container-cpu-limit", "--kubernetes-version=v1.29", "--output-format=json"]
    command: list[str | Path] = [checker("kube-score"), "score", *options, "-"]
    text = "\n---\n".join(map(json.dumps, objects))
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if result.returncode not in {0, 1} or not result.stdout.startswith("["):  # 1: there are objections
        raise CheckFailedError(result.stdout + result.stderr)
    found: dict[str, set[str]] = {}
    for scored in json.loads(result.stdout):
        name = f"{scored['type_meta']['kind']} {scored['object_meta']['name']}"
        for score in scored["checks"]:
            if not score["skipped"] and score["grade"] < _ALL_OK:
                said = "; ".join(
                    f"{each['path']} {each['summary']}".strip() for each in score["comments"] or ()
                )
                found.setdefault(score["check"]["id"], set()).add(f"{name}: {said}")
    return found


def argocd_scripts() -> dict[str, Any]:
    """The scripts that argocd-cm has for Argo CD, as the program gitops takes them."""
    data = yaml.safe_load((INSTALL / "argocd-cm.yaml").read_text(encoding="utf-8"))["data"]
    kind = "imageclassifier.dev_ImageClassifier"
    actions = yaml.safe_load(data[f"resource.customizations.actions.{kind}"])
    return {
        "health": data[f"resource.customizations.health.{kind}"],
        "discovery": actions["discovery.lua"],
        "actions": {each["name"]: each["action.lua"] for each in actions["definitions"]},
    }


def gitops(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What kstatus and Argo CD make of objects; kind/checkers/gitops describes the results."""
    document = {"objects": objects, **argocd_scripts()}
    found: list[dict[str, Any]] = json.loads(output([checker("gitops")], json.dumps(document)))
    return found
