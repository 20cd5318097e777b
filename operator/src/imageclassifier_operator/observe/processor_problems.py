"""Problems of a program that the node's processor cannot run, with what to do. Pure."""

from dataclasses import dataclass

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import Problem

_ILLEGAL_INSTRUCTION = 132
"""128 + SIGILL."""
_NO_BINARY = "exec format error"
_NO_IMAGE = ("no match for platform", "no matching manifest for")
"""As containerd, and other runtimes, say that an image has nothing for the architecture of the node."""


@dataclass(frozen=True)
class Program:
    """A container: which one, its image, and the fields of the spec with the image and with its pod."""

    where: str
    image: str
    image_field: str
    template_field: str


def wrong_processor(program: Program, exit_code: int | None, texts: str) -> Problem | None:
    """The problem, if the exit code or the texts about the container show that the processor is wrong."""
    nodes = f"{program.template_field}.spec.nodeSelector"
    if exit_code == _ILLEGAL_INSTRUCTION:
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{program.where} ended with exit code 132: its program uses instructions that the processor "
            f"of the node does not have. TensorFlow needs AVX. Choose nodes that have it in {nodes}, or set "
            f"{program.image_field} to an image that is built without AVX. A virtual machine may hide AVX: "
            "give it the processor type of its host.",
            fatal=True,
        )
    if _NO_BINARY in texts:
        return Problem(
            Reason.CONTAINER_CRASHED,
            f"{program.where} cannot start ({_NO_BINARY}): image {program.image} is for another "
            f"processor than that of the node. Set {program.image_field} to an image for this architecture, "
            f"or choose the nodes by kubernetes.io/arch in {nodes}.",
            fatal=True,
        )
    return None


def no_image_for_platform(program: Program, message: str) -> Problem | None:
    """The problem, if an image cannot be pulled because it has nothing for the architecture of the node."""
    if not any(words in message for words in _NO_IMAGE):
        return None
    nodes = f"{program.template_field}.spec.nodeSelector"
    return Problem(
        Reason.IMAGE_PULL_FAILED,
        f"{program.where} cannot pull image {program.image}: it has nothing for the processor of the node. "
        f"Set {program.image_field} to an image for this architecture, or choose the nodes by "
        f"kubernetes.io/arch in {nodes}.",
    )
