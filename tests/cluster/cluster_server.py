"""Servers of tests on the laptop cluster: a program in an image, and a pod in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from cluster_testbed import Kubectl, create_namespace
from images import build, docker, load_into_nodes
from images.recipes import Build
from images.trees import File
from laptop import places
from laptop.cluster_state import LAPTOP


def ensure_image(program: Path) -> str:
    """Build an image with this program and Python, and load it into the cluster; returns its name."""
    dockerfile = f"ARG BASE\nFROM ${{BASE}}\nCOPY {program.name} /usr/local/bin/{program.name}\n"
    base = build.build_base()
    reference = f"imageclassifier/{program.name}:{places.digest([base, dockerfile], [program])}"
    if docker.image_id(reference) is None:
        file = File(PurePosixPath(program.name), program.read_bytes(), executable=True)
        docker.build(Build(reference, dockerfile, ("BASE", base), (file,)))
    load_into_nodes.load(load_into_nodes.of_cluster(LAPTOP.name), reference, ())
    return reference


@contextmanager
def running_pod(
    cluster_kubectl: Kubectl,
    namespace: str,
    name: str,
    port: int,
    spec: dict[str, Any],
    *others: dict[str, Any],
) -> Iterator[Kubectl]:
    """Run a pod behind a Service of its name in a new namespace, which is deleted afterwards.

    `spec` is that of the pod, and `others` are objects that it needs. Yields the client of the namespace.
    """
    labels = {"app": name}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, "terminationGracePeriodSeconds": 0},
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": port}]},
    }
    kubectl = create_namespace(cluster_kubectl, namespace)
    try:
        kubectl.apply(*others, pod, service)
        kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")
        yield kubectl
    finally:
        cluster_kubectl("delete", "namespace", namespace, "--wait=false")
