"""How the model server of a version gets its files: volumes, mounts and init containers.

The files come from an image or from a PersistentVolumeClaim. From an image, an init container copies
them into a volume with the image's own `cp`. The command names saved_model.pb beside its directory, so `cp`
fails with one line when that file is missing, and the image needs no shell. From a PersistentVolumeClaim they
are mounted read-only, and the init container checks them with a `cp` of that file to /dev/null.

If the version is missing, the next pods have an init container of the gateway's image that searches it: the
directory may be called 0003, or the message says what lies there instead. It reads a PersistentVolumeClaim
itself. From an image, the image's own `cp` first writes symbolic links with the names of all files. Then the
search leaves a link to the directory, through which the copy finds it.

If the classes are in a file of the model, another init container, of the gateway's image, writes a tiny
model beside it that returns them. The operator itself never reads the files of a model.

The init containers have the server's resources; they run before the server, so this costs nothing.
"""

from dataclasses import dataclass, replace

from imageclassifier_operator.api import ImageSource, ModelVersion
from imageclassifier_operator.render.model_server_config import CLASSES_ROOT, MODEL_ROOT, base_path
from imageclassifier_operator.render.shared_parts import Manifest, container

NAMES_CONTAINER = "model-names"
SEARCH_CONTAINER = "model-search"
FILES_CONTAINER = "model-files"
CLASSES_CONTAINER = "model-classes"

NAMES_ROOT = "/model-names"
"""Contains the names of the files of the image, and the link to the directory of the version."""
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
    parts = _searched_files(served) if served.searches else _files(served)
    return parts if served.class_file is None else _with_classes(parts, served, served.class_file.get("path"))


def _files(served: ModelVersion) -> ModelFiles:
    mount: Manifest = {"name": "model", "mountPath": MODEL_ROOT, "readOnly": True}
    if isinstance(served.source, ImageSource):
        mount["mountPath"] = base_path(served)
        volume: Manifest = {"name": "model", "emptyDir": {}}
        init, secrets = _copy(served, served.source), served.source.pull_secrets
    else:
        claim = {"claimName": served.source.claim_name, "readOnly": True}
        volume = {"name": "model", "persistentVolumeClaim": claim}
        init, secrets = _check(served, mount), ()
    return ModelFiles([volume], [mount], [init], secrets)


def _searched_files(served: ModelVersion) -> ModelFiles:
    """The parts for a version whose directory has another name, or is missing."""
    parts, source = _files(served), served.source
    assert served.preparer is not None, "a version that is searched has an image for that"
    secrets = (*parts.pull_secrets, *served.preparer.pull_secrets)
    if not isinstance(source, ImageSource):
        field = "spec.model.source.persistentVolumeClaim.path"
        arguments = ["--root", MODEL_ROOT, "--base", base_path(served), "--field", field]
        search = _prepare(served, SEARCH_CONTAINER, ["search", *arguments], parts.mounts)
        return replace(parts, init_containers=[search], pull_secrets=secrets)
    names: Manifest = {"name": "model-names", "mountPath": NAMES_ROOT}
    copies: Manifest = {"name": "model", "mountPath": _COPY_ROOT}
    link = f"{NAMES_ROOT}/version"
    base = f"{NAMES_ROOT}{MODEL_ROOT}/{served.model_name}"
    arguments = ["--root", NAMES_ROOT, "--base", base, "--field", "spec.model.name", "--link", link]
    search = ["search", *arguments, "--out", _COPY_ROOT]
    copied = f"{_COPY_ROOT}/{served.version}/"
    return ModelFiles(
        [*parts.volumes, {"name": "model-names", "emptyDir": {}}],
        parts.mounts,
        [
            _of_image(
                served, source, NAMES_CONTAINER, ["cp", "-RHsf", MODEL_ROOT, f"{NAMES_ROOT}/"], [names]
            ),
            _prepare(served, SEARCH_CONTAINER, search, [names, copies]),
            _of_image(
                served,
                source,
                FILES_CONTAINER,
                ["cp", "-RLf", f"{link}/.", copied],
                [{**names, "readOnly": True}, copies],
            ),
        ],
        secrets,
    )


def _copy(served: ModelVersion, source: ImageSource) -> Manifest:
    origin = f"{MODEL_ROOT}/{served.model_name}/{served.version}"
    command = ["cp", "-Rf", origin, f"{origin}/saved_model.pb", f"{_COPY_ROOT}/"]
    return _of_image(served, source, FILES_CONTAINER, command, [{"name": "model", "mountPath": _COPY_ROOT}])


def _of_image(
    served: ModelVersion, source: ImageSource, name: str, command: list[str], mounts: list[Manifest]
) -> Manifest:
    return container(
        name,
        source.image,
        source.pull_policy,
        command=command,
        volumeMounts=mounts,
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
    assert served.preparer is not None, "a version with a class file has an image that reads it"
    arguments = ["classes", "--base", base_path(served), "--out", CLASSES_ROOT]
    if path is not None:
        arguments += ["--file", path]
    classes: Manifest = {"name": "model-classes", "mountPath": CLASSES_ROOT}
    init = _prepare(served, CLASSES_CONTAINER, arguments, [*parts.mounts, classes])
    return ModelFiles(
        [*parts.volumes, {"name": "model-classes", "emptyDir": {}}],
        [*parts.mounts, {**classes, "readOnly": True}],
        [*parts.init_containers, init],
        (*parts.pull_secrets, *served.preparer.pull_secrets),
    )


def _prepare(served: ModelVersion, name: str, arguments: list[str], mounts: list[Manifest]) -> Manifest:
    """An init container that runs the gateway's program."""
    preparer = served.preparer
    assert preparer is not None
    return container(
        name,
        preparer.reference,
        preparer.pull_policy,
        command=list(_PROGRAM),
        args=[*arguments, "--version", str(served.version)],
        volumeMounts=mounts,
        resources=served.serving.resources,
    )
