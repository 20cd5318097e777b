"""Why one container of a pod does not run: what the kubelet says of it, as a sentence that says what to do.

How a container ended is fatal when it ended by itself: the same files and settings would end it again. One
that was lost with its node is not.
"""

from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.log_excerpts import load_error, short, telling
from imageclassifier_operator.observe.types import Problem

Json = Mapping[str, Any]

# The kubelet's words, of pkg/kubelet/images/types.go and k8s.io/cri-api/pkg/errors.
_PULL_REASONS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
_UNMADE_REASONS = ("CreateContainerConfigError", "CreateContainerError")
# A container that was gone when the kubelet looked for it, and one that containerd lost when the node went
# down (internal/cri/server/restart.go; its exit code is then 255).
_LOST_REASONS = ("ContainerStatusUnknown", "Unknown")


def container_problem(pod: Json, status: Json, *, init: bool) -> Problem | None:
    """What is wrong with the container of `pod` that has this status, if anything."""
    where = f"pod {pod['metadata']['name']}, container {status['name']}"
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    said, reason = waiting.get("message"), waiting.get("reason", "")
    if reason in _PULL_REASONS:
        return _unpulled(where, _image(pod, status), said or "")
    ended = None if reason in _UNMADE_REASONS or (init and status.get("ready")) else _end(pod, status)
    if ended is not None and ended.get("exitCode") != 0:
        return _of_end(where, pod, status, ended)
    if reason in (*_UNMADE_REASONS, "RunContainerError"):
        return Problem(
            Reason.CONTAINER_CONFIG_INVALID,
            f"{where}: cannot be made: {short(said)}; create or correct what that names, or see with kubectl "
            "describe pod what is missing",
        )
    if status.get("started") and "running" in state and not status.get("ready") and not init:
        return Problem(
            Reason.NOT_ANSWERING,
            f"{where}: runs but its readiness probe does not pass; look at its kubectl logs",
        )
    return None


def _unpulled(where: str, image: str, said: str) -> Problem:
    detail = said.rpartition("ErrImagePull: ")[2]
    told = "" if detail.startswith("Back-off") or not detail else f": {short(detail)}"
    return Problem(
        Reason.IMAGE_PULL_FAILED,
        f"{where}: cannot pull image {image}{told}; "
        "check the name, that it was pushed or loaded, and imagePullSecrets",
    )


def _end(pod: Json, status: Json) -> Json | None:
    """How the container ended last. One that is restarted is judged only then: the kubelet tells the end of a
    container that it has killed a moment before it tells that it has evicted the pod.
    """
    ended: Json | None = (status.get("lastState") or {}).get("terminated")
    if ended is None and (pod.get("spec") or {}).get("restartPolicy") == "Never":
        ended = (status.get("state") or {}).get("terminated")
    return ended


def _of_end(where: str, pod: Json, status: Json, ended: Json) -> Problem:
    message, reason = ended.get("message") or "", ended.get("reason")
    if reason in _LOST_REASONS:
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{where}: was lost when its node was interrupted ({reason}); it is started again: if that goes "
            "on, see with kubectl describe node what is wrong with the node",
        )
    if reason == "OOMKilled":
        part = "serving" if status["name"].startswith("model-") else "gateway"
        return Problem(
            Reason.OUT_OF_MEMORY,
            f"{where}: ran out of memory; raise spec.{part}.resources.limits.memory",
            fatal=True,
        )
    if status["name"] == "model-files":
        return Problem(Reason.MODEL_NOT_FOUND, f"{where}: {_not_found(pod, status, message)}", fatal=True)
    if "did not become available" in message or "Failed to start server" in message:
        return Problem(
            Reason.MODEL_LOAD_FAILED,
            f"{where}: TensorFlow Serving cannot load the model: {load_error(message)}; "
            "export it again and give it a new version number",
            fatal=True,
        )
    said = f": {telling(message)}" if message.strip() else ""
    return Problem(
        Reason.CONTAINER_CRASHED,
        f"{where}: ended with exit code {ended.get('exitCode')}{said}; look at kubectl logs --previous",
        fatal=True,
    )


def _not_found(pod: Json, status: Json, log: str) -> str:
    """Why the init container `model-files` has not found the model, and where it belongs."""
    image, directory, claim = _image(pod, status), _directory(pod, status), _claim(pod)
    if claim is not None:
        return (
            f"PersistentVolumeClaim {claim} holds no model in {directory.removeprefix('/models/')}: "
            f"{telling(log)}; put the SavedModel there, readable by any user, or correct "
            "spec.model.persistentVolumeClaim and spec.model.version"
        )
    if "executable file not found" in log:
        return f"image {image} has no cp to take the model out with; base it on one that has (not on scratch)"
    return (
        f"the model's files cannot be copied from {image}: {telling(log)}; they belong under {directory}/, "
        "readable by any user"
    )


def _declared(pod: Json, name: str) -> Json:
    """The container as the pod's spec has it."""
    spec = pod.get("spec") or {}
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((container for container in containers if container["name"] == name), {})


def _image(pod: Json, status: Json) -> str:
    """As the spec calls it: the runtime tells any of the names that it knows for the same layers."""
    return str(_declared(pod, status["name"]).get("image") or status["image"])


def _directory(pod: Json, status: Json) -> str:
    """Where the init container looks for the version: in its image, or below the mounted volume."""
    command = _declared(pod, status["name"]).get("command") or ()
    found = next((word for word in command if word.startswith("/models/")), "/models/<name>/<version>")
    return found.removesuffix("/saved_model.pb")


def _claim(pod: Json) -> str | None:
    """The PersistentVolumeClaim that the model comes from, None when it comes from an image."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    claims = (volume.get("persistentVolumeClaim") for volume in volumes if volume["name"] == "model")
    return next((str(claim["claimName"]) for claim in claims if claim), None)
