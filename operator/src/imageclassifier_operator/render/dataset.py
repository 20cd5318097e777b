"""A labelled data set in the pod of a verification: its volumes, and where the program finds it. Pure.

The class folders of an image are copied by an init container with the image's own `cp`, as a model's files
are. A PersistentVolumeClaim and ConfigMaps are mounted read-only.
"""

from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.api import Dataset, DatasetClaim, DatasetImage, ImageClassifier
from imageclassifier_operator.render.shared_parts import Manifest, container

INIT_CONTAINER = "dataset-files"

_DIRECTORY = "/etc/imageclassifier/dataset"
_COPY_ROOT = "/dataset-copy"


@dataclass(frozen=True)
class DatasetParts:
    """What a data set adds to the pod."""

    volumes: list[Manifest] = field(default_factory=list)
    mounts: list[Manifest] = field(default_factory=list)
    init_containers: list[Manifest] = field(default_factory=list)
    pull_secrets: tuple[str, ...] = ()


def dataset_parts(ic: ImageClassifier) -> DatasetParts:
    """The parts for the data set of the spec; empty without one."""
    dataset = ic.rollout.acceptance.dataset
    if dataset is None:
        return DatasetParts()
    source = dataset.source
    mount: Manifest = {"name": "dataset", "mountPath": _DIRECTORY, "readOnly": True}
    if isinstance(source, DatasetImage):
        copy = container(
            INIT_CONTAINER,
            source.reference,
            source.pull_policy,
            command=["cp", "-R", f"{source.path}/.", f"{_COPY_ROOT}/"],
            volumeMounts=[{"name": "dataset", "mountPath": _COPY_ROOT}],
            resources=ic.gateway.resources,
        )
        return DatasetParts([{"name": "dataset", "emptyDir": {}}], [mount], [copy], source.pull_secrets)
    if isinstance(source, DatasetClaim):
        claim = {"claimName": source.claim_name, "readOnly": True}
        return DatasetParts([{"name": "dataset", "persistentVolumeClaim": claim}], [mount])
    parts = DatasetParts()
    for number, each in enumerate(source):
        name = f"dataset-{number}"
        # Optional: the verdict reports a missing ConfigMap. A pod that cannot start would report nothing.
        parts.volumes.append({"name": name, "configMap": {"name": each.name, "optional": True}})
        parts.mounts.append({"name": name, "mountPath": f"{_DIRECTORY}/{each.name}", "readOnly": True})
    return parts


def dataset_plan(dataset: Dataset) -> dict[str, Any]:
    """The data set in the plan of the verification; docs/architecture.md describes it."""
    document: dict[str, Any] = {
        "significance_percent": dataset.significance_percent,
        "min_accuracy_percent": dataset.min_accuracy_percent,
        "max_unreadable_percent": dataset.max_unreadable_percent,
    }
    source = dataset.source
    if isinstance(source, DatasetImage):
        return document | {"root": _DIRECTORY}
    if isinstance(source, DatasetClaim):
        return document | {"root": f"{_DIRECTORY}/{source.path}".rstrip("/")}
    folders = [{"label": each.label, "path": f"{_DIRECTORY}/{each.name}"} for each in source]
    return document | {"folders": folders}
