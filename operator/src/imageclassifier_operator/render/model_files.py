"""How the model server of a version gets its files: volumes, mounts and init containers.

The files come from an image or from a PersistentVolumeClaim. From an image, an init container copies
them into a volume with the image's own `cp`. The command names saved_model.pb beside its directory, so `cp`
fails with one line when that file is missing, and the image needs no shell. A PersistentVolumeClaim, and an
image if the spec says so, is mounted read-only, and the init container checks the files with a `cp` of that
file to /dev/null.

If the version is missing there, the next pods have an init container of the gateway's image that searches it:
the directory may be called 0003, or the message says what lies there instead. It reads a mounted volume. From
an image, the image's own `cp` first writes symbolic links with the names of all files. Then the search leaves
a link to the directory, through which the copy finds it.

If the classes are in a file of the model, another init container, of the gateway's image, writes a tiny
model beside it that returns them. The operator itself never reads the files of a model.

An archive behind an HTTPS URL, and a model in a store such as S3, are downloaded by the gateway's image.

The init containers have the server's resources; they run before the server, so this costs nothing.
"""

from dataclasses import dataclass, replace

from imageclassifier_operator.api import (
    EgressProxy,
    HttpsSource,
    ImageSource,
    ModelVersion,
    StorageSource,
    VolumeSource,
)
from imageclassifier_operator.render.model_server_config import CLASSES_ROOT, MODEL_ROOT, base_path
from imageclassifier_operator.render.shared_parts import Manifest, container, variables

NAMES_CONTAINER = "model-names"
SEARCH_CONTAINER = "model-search"
FILES_CONTAINER = "model-files"
CLASSES_CONTAINER = "model-classes"

NAMES_ROOT = "/model-names"
"""Contains the names of the files of the image, and the link to the directory of the version."""
_COPY_ROOT = "/model-copy"
_CA_DIRECTORY = "/etc/imageclassifier/source-ca"
_HEADERS_DIRECTORY = "/etc/imageclassifier/source-headers"
_CREDENTIALS_DIRECTORY = "/etc/imageclassifier/source-credentials"
_PROXY = "MODEL_PROXY"
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
    source = served.source
    if isinstance(source, VolumeSource):
        claim = {"claimName": source.claim_name, "readOnly": True}
        volume: Manifest = {"name": "model", "persistentVolumeClaim": claim}
        return ModelFiles([volume], [mount], [_check(served, mount)], ())
    if isinstance(source, ImageSource) and source.mounted:
        policy = {} if source.pull_policy is None else {"pullPolicy": source.pull_policy}
        volume = {"name": "model", "image": {"reference": source.image, **policy}}
        return ModelFiles([volume], [mount], [_check(served, mount)], source.pull_secrets)
    mount["mountPath"] = base_path(served)
    parts = ModelFiles([{"name": "model", "emptyDir": {}}], [mount], [], ())
    if isinstance(source, HttpsSource):
        arguments = ["download", "--url", source.url, "--sha256", source.sha256]
        secret = (
            None
            if source.headers_secret is None
            else ("--headers", _HEADERS_DIRECTORY, source.headers_secret)
        )
        return _downloaded_files(served, parts, _Download(arguments, source.ca_bundle, secret, source.proxy))
    if isinstance(source, StorageSource):
        return _downloaded_files(served, parts, _storage_download(source, served.alias_version))
    return replace(parts, init_containers=[_copy(served, source)], pull_secrets=source.pull_secrets)


@dataclass(frozen=True)
class _Download:
    """What the init container downloads. `ca_bundle`: ConfigMap and key. `secret`: flag, directory, name."""

    arguments: list[str]
    ca_bundle: tuple[str, str] | None
    secret: tuple[str, str, str] | None
    proxy: EgressProxy | None


def _storage_download(source: StorageSource, alias_version: int | None) -> _Download:
    values = {
        "--sha256": source.sha256,
        "--endpoint": source.endpoint,
        "--region": source.region,
        "--alias-version": None if alias_version is None else str(alias_version),
    }
    settings = [word for flag, value in values.items() if value is not None for word in (flag, value)]
    secret = source.credentials_secret
    return _Download(
        ["storage", "--uri", source.uri, *settings],
        source.ca_bundle,
        None if secret is None else ("--credentials", _CREDENTIALS_DIRECTORY, secret),
        source.proxy,
    )


def _downloaded_files(served: ModelVersion, parts: ModelFiles, download: _Download) -> ModelFiles:
    """The parts for files that the gateway's program downloads."""
    assert served.preparer is not None, "a version that is downloaded has an image for that"
    arguments = [*download.arguments, "--out", _COPY_ROOT]
    mounts: list[Manifest] = [{"name": "model", "mountPath": _COPY_ROOT}]
    volumes = list(parts.volumes)
    if download.ca_bundle is not None:
        name, key = download.ca_bundle
        arguments += ["--ca-file", f"{_CA_DIRECTORY}/{key}"]
        mounts.append({"name": "source-ca", "mountPath": _CA_DIRECTORY, "readOnly": True})
        # Optional: the program reports what is missing, also a key.
        volumes.append({"name": "source-ca", "configMap": {"name": name, "optional": True}})
    if download.secret is not None:
        flag, directory, name = download.secret
        arguments += [flag, directory]
        volume = directory.rpartition("/")[2]
        mounts.append({"name": volume, "mountPath": directory, "readOnly": True})
        volumes.append({"name": volume, "secret": {"secretName": name}})
    init = _prepare(served, FILES_CONTAINER, arguments, mounts)
    if download.proxy is not None:
        init["env"] = [
            *variables(download.proxy.variables(_PROXY)),
            *download.proxy.credentials(_PROXY),
        ]
    return ModelFiles(volumes, parts.mounts, [init], served.preparer.pull_secrets)


def _searched_files(served: ModelVersion) -> ModelFiles:
    """The parts for a version whose directory has another name, or is missing."""
    parts, source = _files(served), served.source
    if isinstance(source, HttpsSource | StorageSource):
        return parts  # the program has searched what it downloaded
    assert served.preparer is not None, "a version that is searched has an image for that"
    parts = replace(parts, pull_secrets=(*parts.pull_secrets, *served.preparer.pull_secrets))
    if isinstance(source, ImageSource) and not source.mounted:
        return _searched_image(served, source, parts)
    is_image = isinstance(source, ImageSource)
    field = "spec.model.name" if is_image else "spec.model.source.persistentVolumeClaim.path"
    arguments = ["search", "--root", MODEL_ROOT, "--base", base_path(served), "--field", field]
    return replace(parts, init_containers=[_prepare(served, SEARCH_CONTAINER, arguments, parts.mounts)])


def _searched_image(served: ModelVersion, source: ImageSource, parts: ModelFiles) -> ModelFiles:
    """Copies the names of all files, finds the directory among them, and copies that."""
    names: Manifest = {"name": "model-names", "mountPath": NAMES_ROOT}
    copies: Manifest = {"name": "model", "mountPath": _COPY_ROOT}
    link = f"{NAMES_ROOT}/version"
    base = f"{NAMES_ROOT}{MODEL_ROOT}/{served.model_name}"
    places = ["--root", NAMES_ROOT, "--base", base, "--link", link, "--out", _COPY_ROOT]
    search = ["search", *places, "--field", "spec.model.name"]
    copy_names = ["cp", "-RHsf", MODEL_ROOT, f"{NAMES_ROOT}/"]
    copy_files = ["cp", "-RLf", f"{link}/.", f"{_COPY_ROOT}/{served.version}/"]
    return replace(
        parts,
        volumes=[*parts.volumes, {"name": "model-names", "emptyDir": {}}],
        init_containers=[
            _of_image(served, source, NAMES_CONTAINER, copy_names, [names]),
            _prepare(served, SEARCH_CONTAINER, search, [names, copies]),
            _of_image(served, source, FILES_CONTAINER, copy_files, [{**names, "readOnly": True}, copies]),
        ],
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
