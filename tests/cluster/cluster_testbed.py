"""kubectl on the laptop cluster, one ImageClassifier there as a user sees it, the examples, tiny models."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from laptop import places
from laptop.cluster_state import LAPTOP
from laptop.traffic import SteadyTraffic, Tally

EXAMPLES = places.REPOSITORY / "examples"
PHOTOGRAPHS = places.REPOSITORY.parent / "shared/data/pizza_not_pizza"
READY_SECONDS = 300

Wait = Callable[..., Any]
"""The fixture `wait_for`: wait_for(question, what, timeout_seconds=300)."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl on one context, and in one namespace when it has one."""

    program: str
    context: str
    namespace: str | None = None

    def command(self, *arguments: str) -> list[str]:
        where = [f"--context={self.context}", *([f"--namespace={self.namespace}"] if self.namespace else [])]
        return [self.program, *where, *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 120) -> str:
        """What kubectl prints; an error of kubectl fails the test with kubectl's own words."""
        result = subprocess.run(
            self.command(*arguments),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if result.returncode != 0:
            raise AssertionError(
                f"kubectl {' '.join(arguments)}: {result.stderr.strip()} {result.stdout.strip()}"
            )
        return result.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of them, as Kubernetes' JSON."""
        answer: dict[str, Any] = json.loads(self("get", *arguments, "--output=json"))
        return answer

    def apply(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))

    def output_of(self, pod: dict[str, Any]) -> str:
        """Runs a Pod to its end; returns what its container printed, and fails with that if it failed.

        By its log, not by `kubectl run --attach`: what is printed before the attaching is through is lost
        there (kubernetes/kubernetes#27264).
        """
        name = pod["metadata"]["name"]
        self.apply(pod)
        end = "--for=jsonpath={.status.containerStatuses[0].state.terminated.reason}"
        self("wait", end, f"pod/{name}", "--timeout=90s")
        printed = self("logs", name)
        state = self.get("pod", name)["status"]["containerStatuses"][0]["state"]
        assert state["terminated"]["exitCode"] == 0, f"pod {name}: {state}; it printed: {printed}"
        return printed

    def within(self, namespace: str) -> Kubectl:
        return Kubectl(self.program, self.context, namespace)


def create_namespace(cluster_kubectl: Kubectl, name: str) -> Kubectl:
    """Creates a namespace in which pods are admitted; gives kubectl in it."""
    cluster_kubectl("create", "namespace", name)
    # Kubernetes admits no pod before the default ServiceAccount exists.
    account = ("serviceaccount/default", f"--namespace={name}")
    cluster_kubectl("wait", "--for=create", *account, "--timeout=90s")
    return cluster_kubectl.within(name)


@contextmanager
def forwarded_port(kubectl: Kubectl, target: str, port: str) -> Iterator[int]:
    """Forwards a local port to this port of a pod of the target, such as service/pizza-gateway."""
    command = kubectl.command("port-forward", target, f":{port}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        try:
            found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
            assert found, "kubectl port-forward did not say its port"
            # It says a line for each connection too, and forwards none while nobody reads them.
            threading.Thread(target=forward.stdout.read, daemon=True).start()
            yield int(found[1])
        finally:
            forward.terminate()


class Classifier:
    """One ImageClassifier on the cluster, as a user sees it."""

    def __init__(self, kubectl: Kubectl, wait_for: Wait, name: str) -> None:
        self.kubectl, self.wait_for, self.name = kubectl, wait_for, name

    def _get(self) -> dict[str, Any]:
        return self.kubectl.get("imageclassifier", self.name)

    def status(self) -> dict[str, Any]:
        """The status of the newest spec. Waits until `observedGeneration` is the object's generation."""

        def current() -> dict[str, Any] | None:
            found = self._get()
            status: dict[str, Any] = found.get("status", {})
            return status if status.get("observedGeneration") == found["metadata"]["generation"] else None

        told: dict[str, Any] = self.wait_for(current, f"{self.name}: a status of the spec as it is now")
        return told

    def condition(self, kind: str) -> dict[str, Any]:
        """The condition of that type; empty when there is none that speaks of the spec as it is now."""
        return _condition(self._get(), kind)

    def wait_ready(self, version: int) -> None:
        def ready() -> bool:
            found = self._get()
            is_ready = _condition(found, "Ready").get("status") == "True"
            return is_ready and found["status"]["servingVersion"] == version

        self.wait_for(ready, f"{self.name}: version {version} to be ready", READY_SECONDS)

    def wait_reason(self, condition: str, reason: str) -> str:
        """Waits until a condition has this reason; returns its message."""

        def message() -> str | None:
            found = self.condition(condition)
            return str(found["message"]) if found.get("reason") == reason else None

        told: str = self.wait_for(message, f"{self.name}: {condition} because of {reason}", READY_SECONDS)
        return told

    def gateway(self, port: str = "http") -> AbstractContextManager[int]:
        """Forwards a local port to this port of one of the gateway's pods."""
        return forwarded_port(self.kubectl, f"service/{self.name}-gateway", port)

    @contextmanager
    def requests(self, picture: bytes, per_second: float = 16) -> Iterator[Tally]:
        """Sends steady requests before, during and after the block; yields their tally."""
        with self.gateway() as port, SteadyTraffic(port, picture, per_second=per_second) as traffic:
            traffic.wait_for_more(10)
            yield traffic.tally
            traffic.wait_for_more(10)


def _condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    for condition in found.get("status", {}).get("conditions", []):
        if (condition["type"], condition["observedGeneration"]) == (kind, found["metadata"]["generation"]):
            return dict(condition)
    return {}


def example(name: str) -> list[dict[str, Any]]:
    """The objects of an example, without the cluster's one node port, and small enough for a laptop."""
    objects = [body for body in yaml.safe_load_all((EXAMPLES / f"{name}.yaml").read_text("utf-8")) if body]
    small = {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    for body in objects:
        if body["kind"] == "ImageClassifier":
            gateway = {"service": {"type": "ClusterIP"}, "replicas": 1, "resources": small}
            gateway["timeoutSeconds"] = 8  # short, so that old versions are removed soon
            body["spec"] |= {"gateway": gateway, "serving": {"resources": small}}
    return objects


def tiny_classifier(name: str, model: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """An ImageClassifier that costs little and ends soon: one pod of each kind, reached from inside only."""
    small = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    gateway = {"replicas": 1, "resources": small, "service": {"type": "ClusterIP"}, "timeoutSeconds": 4}
    return {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": name},
        "spec": {"model": model, "gateway": gateway, "serving": {"resources": small}, **spec},
    }


def plain_picture(brightness: int) -> bytes:
    """A PNG of a single grey value."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (brightness, brightness, brightness)).save(buffer, "PNG")
    return buffer.getvalue()


def labelled_files(count: int, drawn_count: int, drawn: Path) -> dict[str, list[Path]]:
    """`count` photographs of each class; `drawn_count` drawn pictures of each, in the folder `drawn`, if this
    machine has no photographs."""
    if PHOTOGRAPHS.is_dir():
        return {
            label: sorted((PHOTOGRAPHS / label).glob("*.jpg"))[:count] for label in ("not_pizza", "pizza")
        }
    run(EXAMPLES / "pizza/draw.py", drawn, f"--count={drawn_count}")
    return {"not_pizza": sorted(drawn.glob("other-*")), "pizza": sorted(drawn.glob("pizza-*"))}


def run(*command: str | Path) -> str:
    """Runs a Python program of the repository; returns its output."""
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def ensure_tiny_models(wanted: Mapping[str, str]) -> dict[str, str]:
    """Brings tiny models onto the cluster as images, made once and then cached.

    `wanted` is as in `make_tiny_models`, the result as that of `load_models`.
    """
    images = load_models(make_tiny_models(wanted))
    return {model: images[model] for model in wanted}


def load_models(directory: Path) -> dict[str, str]:
    """Brings each NAME/VERSION of the directory onto the cluster; gives NAME:VERSION -> its image, which has
    that name on the cluster too."""
    build = places.KIND / "build_images.py"
    loaded = run(build, "--load", LAPTOP.name, "--models", directory, "gateway")
    images: dict[str, str] = json.loads(loaded)
    return images


def make_tiny_models(wanted: Mapping[str, str]) -> Path:
    """The directory of tiny models, made once: `name:version` -> variant of `examples/tiny_model/make.py`."""
    script = EXAMPLES / "tiny_model/make.py"
    sources = [script, *(places.REPOSITORY / "training/src").rglob("*.py")]
    key = places.digest([f"{model}={variant}" for model, variant in sorted(wanted.items())], sources)
    directory = places.cached("tiny-models", key)
    if not directory.exists():
        unfinished = directory.with_suffix(".unfinished")
        spec = importlib.util.spec_from_file_location("tiny_model", script)
        assert spec is not None
        assert spec.loader is not None
        tiny_model = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(tiny_model)
        for model, variant in wanted.items():
            name, version = model.split(":")
            tiny_model.make(unfinished, name=name, version=int(version), variant=variant)
        places.replace_directory(unfinished, directory)
    return directory
