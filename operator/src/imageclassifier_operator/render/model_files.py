"""How the model server of a version gets its files: volumes, mounts and init containers.

The files come from an image or from a PersistentVolumeClaim. From an image, an init container copies
them into a volume with the image's own `cp`. The command names saved_model.pb beside its directory, so `cp`
fails with one line when that file is missing, and the image needs no shell. From a PersistentVolumeClaim they
are mounted read-only, and the init container checks them with a `cp` of that file to /dev/null.

If the classes are in a file of the model, a second init container, of the gateway's image, writes a tiny
model beside it that returns them. The operator itself never reads the files of a model.

The init containers have the server's resources; they run before the server, so this costs nothing.
"""

from dataclasses import dataclass

from imageclassifier_operator.api import ImageSource, ModelVersion
from imageclassifier_operator.render.model_server_config import CLASSES_ROOT, MODEL_ROOT, base_path
from imageclassifier_operator.render.shared_parts import Manifest, container

FILES_CONTAINER = "model-files"
CLASSES_CONTAINER = "model-classes"

_COPY_ROOT = "/model-copy"
_PROGRAM = ("python", "-m", "imageclassifier_gateway.model_files")


@dataclass(frozen=True)
class ModelFiles:
    """The parts of the pod that bring the files of the model to its server."""

    volumes: list[Manifest]
    mounts: list[Manifest]
    init_containers: list[Manifest]
    pull_secrets: tuple[str, ...]


def model_files(served: ModelVersion) -> ModelFiles:
    """The parts for a version."""
    mount: Manifest = {"name": "model", "mountPath": MODEL_ROOT, "readOnly": True}
    if isinstance(served.source, ImageSource):
        mount["mountPath"] = base_path(served)
        volume: Manifest = {"name": "model", "emptyDir": {}}
        init, secrets = _copy(served, served.source), served.source.pull_secrets
    else:
        claim = {"claimName": served.source.claim_name, "readOnly": True}
        volume = {"name": "model", "persistentVolumeClaim": claim}
        init, secrets = _check(served, mount), ()
    parts = ModelFiles([volume], [mount], [init], secrets)
    return parts if served.class_file is None else _with_classes(parts, served, served.class_file.get("path"))


def _copy(served: ModelVersion, source: ImageSource) -> Manifest:
    origin = f"{MODEL_ROOT}/{served.model_name}/{served.version}"
    return container(
        FILES_CONTAINER,
        source.image,
        source.pull_policy,
        command=["cp", "-Rf", origin, f"{origin}/saved_model.pb", f"{_COPY_ROOT}/"],
        volumeMounts=[{"name": "model", "mountPath": _COPY_ROOT}],
        resources=served.serving.resources,
    )


def _check(served: ModelVersion, mount: Manifest) -> Manifest:
    return container(
        FILES_CONTAINER,
        served.server_image,
        served.serving.image_pull_policy,
        command=["cp", f"{base_path(served)}/{served.version}/saved_model.pb", "/dev/null"],
        volumeMounts=[mount],
        resources=served.serving.resources,
    )


def _with_classes(parts: ModelFiles, served: ModelVersion, path: str | None) -> ModelFiles:
    """The parts with those for a class file in the directory of the model."""
    preparer = served.preparer
    assert preparer is not None, "a version with a class file has an image that reads it"
    arguments = ["--base", base_path(served), "--version", str(served.version), "--out", CLASSES_ROOT]
    if path is not None:
        arguments += ["--file", path]
    classes: Manifest = {"name": "model-classes", "mountPath": CLASSES_ROOT}
    init = container(
        CLASSES_CONTAINER,
        preparer.reference,
        preparer.pull_policy,
        command=[*_PROGRAM, "classes"],
        args=arguments,
        volumeMounts=[*parts.mounts, classes],
        resources=served.serving.resources,
    )
    return ModelFiles(
        [*parts.volumes, {"name": "model-classes", "emptyDir": {}}],
        [*parts.mounts, {**classes, "readOnly": True}],
        [*parts.init_containers, init],
        (*parts.pull_secrets, *preparer.pull_secrets),
    )
