"""Finds the version of a model in a directory or in a container image."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imageclassifier_gateway.model_files.layout import Place, saved_model_directory
from imageclassifier_gateway.model_files.refusal import FilesRefusedError
from imageclassifier_gateway.model_files.version_directories import version_number

from ..errors import ClientError

_MODELS = "/models"
"""The directory of the models in an image."""


@dataclass(frozen=True)
class Found:
    """The directory of a version, with the name of its model and its number."""

    directory: Path
    name: str
    version: int


def find_version(model: Path, version: int | None) -> Found:
    """The version in `model`, which is the directory of a version, or that of a model: then its newest one.

    `version`: the number of the version; None for the one that the directory has.
    """
    if not model.is_dir():
        raise ClientError(f"{model} is not a directory. Name the directory of a model, or an image.")
    model = model.resolve()
    numbers = sorted(
        number for entry in model.iterdir() if (number := version_number(entry.name)) is not None
    )
    own = version_number(model.name)
    if not numbers and own is not None:
        model, numbers = model.parent, [own]
    wanted = version or (numbers[-1] if numbers else 1)
    place = Place(model.parent, model, wanted, "the directory", root_name=str(model.parent))
    try:
        return Found(saved_model_directory(place), model.name, wanted)
    except FilesRefusedError as error:
        raise ClientError(str(error)) from None


@contextlib.contextmanager
def unpacked_image(reference: str) -> Iterator[Path]:
    """Yield a directory with the models of a container image, which docker or podman has or pulls."""
    program = next((name for name in ("docker", "podman") if shutil.which(name)), None)
    if program is None:
        raise ClientError(
            f"{reference} is no directory here, and there is no docker or podman to look into an image. "
            f"Name the directory of the model, and the image with --image."
        )
    container = _output(program, "create", "--entrypoint", "cp", reference).strip().splitlines()[-1]
    try:
        with tempfile.TemporaryDirectory(prefix="imageclassifier-") as directory:
            _output(program, "cp", f"{container}:{_MODELS}/.", directory)
            yield Path(directory)
    finally:
        _output(program, "rm", container)


def only_model(models: Path, reference: str, name: str | None) -> Path:
    """The directory of the model `name`, or of the only one, in an unpacked image."""
    names = sorted(entry.name for entry in models.iterdir() if entry.is_dir())
    if name in names or len(names) == 1:
        return models / (name if name in names and name is not None else names[0])
    if not names:
        raise ClientError(
            f"The image {reference} has no model below {_MODELS}. Copy it to {_MODELS}/NAME/VERSION."
        )
    raise ClientError(
        f"The image {reference} has several models: {', '.join(names)}. Choose one with --model-name."
    )


def _output(program: str, *arguments: str) -> str:
    result = subprocess.run(
        [program, *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"{program} {arguments[0]} failed"]
        raise ClientError(f"{lines[-1].rstrip('.')}. Check the name of the image, or pull it with {program}.")
    return result.stdout
