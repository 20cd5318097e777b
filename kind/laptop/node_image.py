"""The image of Kind's nodes: given, pulled, or made from Kind's files and Kubernetes' Go modules.

An image that is made carries a hash of its inputs in its tag, so it is never made twice.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from laptop import golang, places, registry
from laptop.base_image import ensure_base, made_base_name, present_or_pulled, variable
from laptop.proc import host_has_sys_resource
from laptop.progress import Step, StepFailed, output, step

PULLED_NODE = "kindest/node:v1.34.3"
#: Components that kubeadm and our manifests name. One image with one Kubernetes program serves them all.
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
METRICS_SERVER = "registry.k8s.io/metrics-server/metrics-server:v0.8.0"
LOCAL_COMPONENTS = "imageclassifier.dev/kubernetes"


def component_names(kubernetes: str, kubeadm_images: str) -> list[str]:
    """The names that the image of the components needs; `kubeadm_images` is the list that kubeadm prints."""
    names = [name for name in kubeadm_images.split() if "/pause:" not in name]
    return [*names, METRICS_SERVER, f"{LOCAL_COMPONENTS}:{kubernetes}"]


def _node_inputs() -> list[Path]:
    return [path for path in (places.KIND / "node").rglob("*") if path.is_file()]


def made_node_name(base: str) -> str:
    """The name of the node image that this machine would make on a base image."""
    programs = (golang.KUBERNETES, golang.PAUSE, golang.LOCAL_PATH_PROVISIONER)
    values = [base, *(golang.binary_path(program).parent.name for program in programs)]
    values.append(f"sys-resource={host_has_sys_resource()}")
    return f"imageclassifier-node:{golang.KUBERNETES_VERSION}-{places.digest(values, _node_inputs())}"


def ensure_node() -> str:
    """Get the node image into the engine; returns its name."""
    given, made = variable("NODE_IMAGE"), made_node_name(variable("BASE_IMAGE") or made_base_name())
    if not given and registry.present(made):
        return made
    with step("Look for a node image") as current:
        choice = present_or_pulled(given, made, PULLED_NODE, current)
        current.found(f"{choice.image} ({choice.how})" if choice.how != "made" else "no registry has one")
    if choice.how != "made":
        return choice.image
    base = ensure_base()
    made = made_node_name(base)
    golang.ensure([golang.KUBERNETES, golang.PAUSE, golang.LOCAL_PATH_PROVISIONER])
    with step("Make the node image", "about a minute") as current:
        _make_node(base, made, current)
        _forget_older(made)
        current.found(made)
    return made


def _make_node(base: str, name: str, current: Step) -> None:
    with tempfile.TemporaryDirectory(dir=places.cache_directory(), prefix="node-") as scratch:
        context = Path(scratch)
        kind_sources = golang.module_directory("kubernetes", "sigs.k8s.io/kind", current)
        shutil.copytree(kind_sources / "images/base/files", context / "kind-files")
        shutil.copytree(places.KIND / "node", context / "node")
        for program in (golang.KUBERNETES, golang.PAUSE, golang.LOCAL_PATH_PROVISIONER):
            shutil.copy2(golang.binary_path(program), context / program.name)
        subprocess.run(["chmod", "-R", "u+w", context], check=True)  # a Go module's files are read-only
        labels = {stage: f"imageclassifier-node-build:{stage}" for stage in ("components", "pause")}
        for stage, label in labels.items():
            _docker_build(context, base, stage, label, current)
        names = component_names(golang.KUBERNETES_VERSION, _kubeadm_images(current))
        pause = next(name for name in _kubeadm_images(current).split() if "/pause:" in name)
        for source, names_of_source in ((labels["components"], names), (labels["pause"], [pause])):
            for target in names_of_source:
                current.run(["docker", "tag", source, target], advice="Is the Docker Engine running?")
        current.run(
            ["docker", "save", "-o", context / "images.tar", *names, pause],
            advice="Is the disk full?",
        )
        # In the engine, these names would be mistaken for the real images.
        current.run(["docker", "rmi", "--no-prune", *names, pause], advice="Is the Docker Engine running?")
        _docker_build(context, base, "node", name, current, pause=pause)


def _forget_older(name: str) -> None:
    """Remove node images of earlier inputs, about 1 GB each, except those that containers use."""
    repository = name.split(":")[0]
    for other in (
        output(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", repository]) or ""
    ).split():
        if other != name:
            output(["docker", "rmi", other])
    output(["docker", "image", "prune", "--force", "--filter=label=imageclassifier.build=node"])


def _kubeadm_images(current: Step) -> str:
    kubernetes, version = golang.binary_path(golang.KUBERNETES), golang.KUBERNETES_VERSION
    listing = subprocess.run(
        [kubernetes, "kubeadm", "config", "images", "list", f"--kubernetes-version={version}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode != 0:
        raise StepFailed(f"kubeadm could not list its images: {listing.stderr.strip()}")
    return listing.stdout


def _docker_build(context: Path, base: str, stage: str, name: str, current: Step, pause: str = "") -> None:
    current.run(
        [
            # The host network, because the build downloads Debian packages.
            "docker", "build", "--network=host", f"--target={stage}", f"--tag={name}",
            "--label=imageclassifier.build=node",
            f"--build-arg=BASE_IMAGE={base}",
            f"--build-arg=KUBERNETES_VERSION={golang.KUBERNETES_VERSION}", f"--build-arg=PAUSE_IMAGE={pause}",
            f"--build-arg=RESTRICT_OOM_SCORE={str(not host_has_sys_resource()).lower()}",
            "--file", context / "node/Dockerfile", context,
        ],
        environment={"DOCKER_BUILDKIT": "0"},
        advice="Read the end of the log. If the package mirror did not answer, run this again.",
    )  # fmt: skip
