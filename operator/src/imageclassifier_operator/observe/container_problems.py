"""Problems of one container, with what to do: from its state as the kubelet reports it. Pure.

A container that ended by itself is a fatal problem, because the same files and settings would end it again. A
container that was lost with its node, or killed from outside, is not.
"""

from dataclasses import replace

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.common_fields import part_of_spec
from imageclassifier_operator.observe.disruptions import is_killed_from_outside, is_lost
from imageclassifier_operator.observe.log_excerpts import error_line, last_line, load_error, one_line
from imageclassifier_operator.observe.model_places import (
    claim,
    container_spec,
    is_copied,
    is_downloaded,
    lost_its_volume,
    mounted_image,
    origin,
)
from imageclassifier_operator.observe.processor_problems import (
    Program,
    no_image_for_platform,
    wrong_processor,
)
from imageclassifier_operator.observe.types import Problem

# The kubelet's reasons, from pkg/kubelet/images/types.go and k8s.io/cri-api/pkg/errors.
_PULL_REASONS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
_MODEL_IMAGE = ("spec.model.source.image.reference", "spec.model.source.image.pullSecrets")
_CREATE_REASONS = ("CreateContainerConfigError", "CreateContainerError")

# Exit codes of `imageclassifier_gateway.model_files`, whose last line is a message for the user.
_REFUSED, _DOWNLOAD_FAILED, _DOWNLOAD_REFUSED, _ALIAS_RESOLVED = 3, 4, 5, 6
_NOT_USABLE = {
    ("model-classes", _REFUSED): Reason.CONTRACT_INVALID,
    ("model-search", _REFUSED): Reason.MODEL_NOT_FOUND,
    ("model-files", _REFUSED): Reason.MODEL_NOT_FOUND,
    ("model-files", _DOWNLOAD_FAILED): Reason.MODEL_DOWNLOAD_FAILED,
    ("model-files", _DOWNLOAD_REFUSED): Reason.MODEL_DOWNLOAD_FAILED,
}
"""What it means that the container of this name ended with this code."""


def container_problem(pod: Json, status: Json, *, init: bool) -> Problem | None:
    """The problem of the container of `pod` with this status; None without one."""
    where = f"Container {status['name']} of pod {pod['metadata']['name']}"
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    message, reason = waiting.get("message"), waiting.get("reason", "")
    program = _program(where, pod, status)
    if reason in _PULL_REASONS:
        return _image_pull_problem(program, pod, status, message or "")
    is_done = init and status.get("ready")
    ended = None if reason in _CREATE_REASONS or is_done else _last_termination(pod, status)
    texts = f"{message} {(ended or {}).get('message')}"
    if (unsuitable := wrong_processor(program, (ended or {}).get("exitCode"), texts)) is not None:
        return unsuitable
    if ended is not None and has_resolved_alias(status, ended) and is_downloaded(pod):
        return None  # the next pods download the version that it has found
    if ended is not None and ended.get("exitCode") != 0:
        return _termination_problem(where, pod, status, ended)
    if reason in (*_CREATE_REASONS, "RunContainerError"):
        return Problem(
            Reason.CONTAINER_CONFIG_INVALID,
            f"{where} cannot be created: {one_line(message)}. Create or correct the object in this message; "
            "kubectl describe pod shows details.",
        )
    if status.get("started") and "running" in state and not status.get("ready") and not init:
        return Problem(
            Reason.NOT_ANSWERING,
            f"{where} runs but fails its readiness probe. Look at its log with kubectl logs.",
        )
    return None


def has_resolved_alias(status: Json, ended: Json) -> bool:
    """Whether this container has looked up the number of an alias, and ended so that it is used."""
    return status["name"] == "model-files" and ended.get("exitCode") == _ALIAS_RESOLVED


def _image_pull_problem(program: Program, pod: Json, status: Json, message: str) -> Problem:
    detail = message.rpartition("ErrImagePull: ")[2]
    why = "" if detail.startswith("Back-off") or not detail else f": {one_line(detail)}"
    secrets = _image_fields(pod, status["name"])[1]
    mounted = mounted_image(pod)
    if mounted is not None and mounted != program.image and mounted in message:
        # The kubelet pulls the images of volumes when it creates the first container that mounts them.
        field, secrets = _MODEL_IMAGE
        program = replace(program, image=mounted, image_field=field)
    unsuitable = no_image_for_platform(program, message)
    return unsuitable or Problem(
        Reason.IMAGE_PULL_FAILED,
        f"{program.where} cannot pull image {program.image}{why}. Check that the nodes can reach its "
        "registry and that the image was pushed or loaded, or change "
        f"{program.image_field} or {secrets}.",
    )


def _program(where: str, pod: Json, status: Json) -> Program:
    """The program of a container, with the fields of its image and of its pod."""
    image, _ = _image_fields(pod, status["name"])
    return Program(where, _image(pod, status), image, f"spec.{part_of_spec(pod)}.template")


def _image_fields(pod: Json, container: str) -> tuple[str, str]:
    """The fields of the spec with the image of a container and with its pull secrets."""
    source = None
    if container == "dataset-files":
        source = "spec.rollout.acceptance.dataset.source.image"
    elif container in ("model-files", "model-names") and is_copied(pod):
        return _MODEL_IMAGE
    if source is not None:
        return f"{source}.reference", f"{source}.pullSecrets"
    is_servers = container == "model-server" or (container == "model-files" and not is_downloaded(pod))
    part = "serving" if is_servers else "gateway"
    return f"spec.{part}.image", f"spec.{part}.imagePullSecrets"


def _last_termination(pod: Json, status: Json) -> Json | None:
    """How the container ended last.

    For a container that is restarted only `lastState` counts: the kubelet reports that it killed a container
    shortly before it reports that it evicted the pod.
    """
    ended: Json | None = (status.get("lastState") or {}).get("terminated")
    if ended is None and (pod.get("spec") or {}).get("restartPolicy") == "Never":
        ended = (status.get("state") or {}).get("terminated")
    return ended


def _termination_problem(where: str, pod: Json, status: Json, ended: Json) -> Problem:
    message, reason = ended.get("message") or "", ended.get("reason")
    if is_lost(ended):
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{where} was lost when its node was interrupted ({reason}). Kubernetes restarts the container. "
            "If this continues, look at the node with kubectl describe node.",
        )
    if reason == "OOMKilled":
        part = "serving" if status["name"].startswith("model-") else "gateway"
        return Problem(
            Reason.OUT_OF_MEMORY,
            f"{where} ran out of memory. Raise spec.{part}.resources.limits.memory.",
            fatal=True,
        )
    if is_killed_from_outside(ended, status.get("restartCount", 0)):
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{where} was killed by a signal (exit code {ended.get('exitCode')}), as when its node shuts "
            "down. Kubernetes restarts the container. If this continues, look at the pod and its node with "
            "kubectl describe.",
        )
    unusable = _NOT_USABLE.get((status["name"], ended.get("exitCode", 0)))
    if unusable is not None and (status["name"] != "model-files" or is_downloaded(pod)):
        place = f"{origin(pod)}: " if status["name"] == "model-search" else ""
        is_final = ended.get("exitCode") != _DOWNLOAD_FAILED
        return Problem(unusable, f"{where}: {place}{last_line(message)}.", fatal=is_final)
    if status["name"] == "model-files" and lost_its_volume(pod):
        return Problem(
            Reason.VOLUME_FAILED,
            f"{where} has no volume with the model's image, because this cluster has no image volumes (the "
            "feature ImageVolume of Kubernetes). Remove spec.model.source.image.mount, so that the model is "
            "copied, or enable the feature.",
            fatal=True,
        )
    if status["name"] in ("model-files", "model-names") and not is_downloaded(pod):
        # The next pods of a version whose files were not found search them, so it has not failed yet.
        is_searched = bool(container_spec(pod, "model-search"))
        why = f"{where}: {_model_not_found(pod, status, message)}"
        return Problem(Reason.MODEL_NOT_FOUND, why, fatal=is_searched or "No such file" not in message)
    if "did not become available" in message or "Failed to start server" in message:
        return Problem(
            Reason.MODEL_LOAD_FAILED,
            f"{where}: TensorFlow Serving cannot load the model: {load_error(message)}. "
            "Export the model again under a new version number.",
            fatal=True,
        )
    why = f": {error_line(message)}" if message.strip() else ""
    return Problem(
        Reason.CONTAINER_CRASHED,
        f"{where} ended with exit code {ended.get('exitCode')}{why}. Look at its log with kubectl logs "
        "--previous.",
        fatal=True,
    )


#: The usual mistakes: the export lies one level too deep, or has no version directory, or is no SavedModel.
_LAYOUT = (
    "saved_model.pb must lie directly in the directory of the version. Export a .keras, .h5 or .onnx file as "
    "a SavedModel first."
)


def _model_not_found(pod: Json, status: Json, log: str) -> str:
    """Why the init container `model-files` did not find the model, and where the model belongs."""
    image, directory = _image(pod, status), _directory(pod, status)
    if not is_copied(pod):
        fields = "spec.model.name" if claim(pod) is None else "spec.model.source.persistentVolumeClaim"
        return (
            f"{origin(pod)} contains no model in {directory.removeprefix('/models/')}: {error_line(log)}. "
            f"Put the SavedModel there, readable by any user, or correct {fields} and spec.model.version. "
            f"{_LAYOUT}"
        )
    if "executable file not found" in log:
        return (
            f"image {image} has no cp command, which copies the model. Use a base image that has one, "
            "not scratch."
        )
    return (
        f"the model's files cannot be copied from image {image}: {error_line(log)}. Put them under "
        f"{directory}/, readable by any user. {_LAYOUT}"
    )


def _image(pod: Json, status: Json) -> str:
    """The image name in the spec. The container runtime reports any of the names that it knows."""
    return str(container_spec(pod, status["name"]).get("image") or status["image"])


def _directory(pod: Json, status: Json) -> str:
    """Where the init container looks for the version: in its image, or below the mounted volume."""
    search = container_spec(pod, "model-search").get("args") or ()
    if "--base" in search:
        base = search[search.index("--base") + 1].removeprefix("/model-names")
        return f"{base}/{search[search.index('--version') + 1]}"
    command = container_spec(pod, status["name"]).get("command") or ()
    found = next((word for word in command if word.startswith("/models/")), "/models/<name>/<version>")
    return found.removesuffix("/saved_model.pb")
