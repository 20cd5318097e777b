"""Our product on the laptop cluster: builds its images, installs it, and reads its objects."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laptop import places
from laptop.cluster_health import kubectl
from laptop.cluster_state import LAPTOP, Cluster
from laptop.kubernetes_programs import kubectl_program
from laptop.progress import StepFailed, step

NAMESPACE = "imageclassifier-system"
#: The loopback port that the Kind configuration forwards to the node port of the gateway.
GATEWAY_PORT = 8080


@dataclass(frozen=True)
class Condition:
    """A condition in `status.conditions` of an ImageClassifier."""

    type: str
    status: str
    reason: str
    message: str


def ensure_images(models: Path, cluster: Cluster = LAPTOP) -> dict[str, str]:
    """Build our images and those of the models, load them into the cluster, and return their names."""
    command: list[str | Path] = [
        sys.executable, places.KIND / "build_images.py", "--load", cluster.name, "--models", models,
    ]  # fmt: skip
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(result.returncode)
    images: dict[str, str] = json.loads(result.stdout)
    return images


def install(images: Mapping[str, str], cluster: Cluster = LAPTOP) -> None:
    """Apply the installation YAML with these images, and wait until the operator is ready."""
    with step("Install the operator") as current:
        rendered = subprocess.run(
            [
                sys.executable, places.REPOSITORY / "operator/install/render.py",
                "--operator-image", images["operator"],
                "--gateway-image", images["gateway"],
                "--serving-image", images["model-server"],
            ],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        manifest = places.state_directory() / f"install-{cluster.name}.yaml"
        manifest.write_bytes(rendered.stdout)
        advice = f"`kubectl --namespace {NAMESPACE} describe pods` shows the reason."
        run: list[str | Path] = [kubectl_program(), f"--context={cluster.context}"]
        current.run([*run, "apply", "--server-side", "--force-conflicts", "-f", manifest], advice=advice)
        current.run(
            [
                *run, "--namespace", NAMESPACE, "rollout", "status",
                "deployment/imageclassifier-operator", "--timeout=180s",
            ],
            advice=advice,
        )  # fmt: skip


def imageclassifier(name: str) -> dict[str, Any]:
    """The ImageClassifier of that name in the default namespace; empty if it does not exist."""
    answer = kubectl(LAPTOP, "get", "imageclassifier", name, "--ignore-not-found", "--output=json")
    found: dict[str, Any] = json.loads(answer) if answer else {}
    return found


def conditions(found: Mapping[str, Any]) -> dict[str, Condition]:
    """Its conditions by type, if they are about the current spec."""
    generation = found.get("metadata", {}).get("generation")
    return {
        one["type"]: Condition(one["type"], one["status"], one["reason"], one.get("message", ""))
        for one in found.get("status", {}).get("conditions", [])
        if one.get("observedGeneration") == generation
    }


def change(*arguments: str | Path) -> None:
    """Run kubectl to change something; raise StepFailed with its message if it fails."""
    command: list[str | Path] = [kubectl_program(), f"--context={LAPTOP.context}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise StepFailed(f"kubectl {' '.join(map(str, arguments))}: {result.stderr.strip()}")
