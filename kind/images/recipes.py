"""The contents of each image, and its tag, which is a hash of them: pure values.

Every image is a chain of three, each `FROM` the one before: the base that all share, the locked packages, our
code. A tag is a hash of all that went in, so an image that exists under its tag is never built again.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from images.trees import File, digest

REPOSITORY = "imageclassifier"
_TAG_DIGITS = 12
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """One of our images: the lock files of its packages, its import packages and the command it runs."""

    name: str
    lock_files: tuple[str, ...]
    packages: tuple[str, ...]  # directories of the import packages, relative to the repository's root
    entry_point: tuple[str, ...]
    environment: tuple[str, ...] = ()  # NAME=value
    needed: tuple[str, ...] = ()  # patterns of files of packages that are named like tests, but imported


PROGRAMS = (
    Program(
        "operator",
        ("operator.txt", "tracing.txt"),
        ("operator/src/imageclassifier_operator",),
        ("python", "-m", "imageclassifier_operator"),
    ),
    Program(
        "gateway",
        ("gateway.txt", "tracing.txt"),
        ("gateway/src/imageclassifier_gateway",),
        ("python", "-m", "imageclassifier_gateway"),
        # glibc gives each decoding thread its own heap, and each keeps freed memory. It also raises the size
        # from which a buffer gets its own pages, up to 32 MB. Bodies and pictures then lie in the heaps, and
        # the gaps between them keep 200 MB under load (docs/performance.md).
        environment=("MALLOC_ARENA_MAX=2", "MALLOC_MMAP_THRESHOLD_=4194304"),
    ),
    Program(
        "model-server",
        ("model-server.txt", "no-deps.txt"),
        ("model_server/src/model_server",),
        ("tensorflow_model_server",),
    ),
)
#: Only built when it is asked for: the product runs without it (examples/training-job.yaml).
TRAINING = Program(
    "training",
    ("training.txt", "no-deps.txt"),
    ("training/src/imageclassifier_training", "gateway/src/imageclassifier_gateway"),
    ("python", "-m", "imageclassifier_training"),
    environment=("TF_CPP_MIN_LOG_LEVEL=2",),
    needed=("scipy/stats/_*_test.py",),
)

# The command of the TensorFlow Serving image, so that the same manifests fit both images.
_MODEL_SERVER_COMMAND = File(
    PurePosixPath("app/bin/tensorflow_model_server"),
    b'#!/bin/sh\nexec /app/src/model_server/tensorflow_model_server "$@"\n',
    executable=True,
)


@dataclass(frozen=True)
class Build:
    """One `docker build`: its tag, its Dockerfile, its build argument, and the files of its context."""

    reference: str
    dockerfile: str
    argument: tuple[str, str]  # name and value: the image that this one starts from
    files: tuple[File, ...] = ()


def _reference(name: str, *inputs: str) -> str:
    tag = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:_TAG_DIGITS]
    return f"{REPOSITORY}/{name}:{tag}"


def _dockerfile(kind: str) -> str:
    return (_HERE / f"Dockerfile.{kind}").read_text(encoding="utf-8")


def base(base_image: str, base_image_id: str) -> Build:
    """The base of all our images, built on `base_image`; its id counts, because a name can move."""
    dockerfile = _dockerfile("base")
    return Build(_reference("base", dockerfile, base_image_id), dockerfile, ("BASE_IMAGE", base_image))


def dependencies_reference(program: Program, base_reference: str, lock_text: str) -> str:
    """The tag of the packages image. It depends on the lock files only, so it is known before a download."""
    selection = (_HERE / "trees.py").read_text(encoding="utf-8")  # what is left out
    return _reference(
        f"{program.name}-dependencies",
        *(base_reference, _dockerfile("dependencies"), selection, lock_text, *program.needed),
    )


def dependencies(reference: str, base_reference: str, files: tuple[File, ...]) -> Build:
    """The packages image; `files` are below `lib`."""
    return Build(reference, _dockerfile("dependencies"), ("BASE", base_reference), files)


def code(program: Program, dependencies_reference: str, package_files: tuple[File, ...]) -> Build:
    """The final image: our import packages below `app/src`, on its dependencies."""
    files = package_files
    if program.name == "model-server":
        files = (*package_files, _MODEL_SERVER_COMMAND)
    environment = "".join(f"ENV {variable}\n" for variable in program.environment)
    dockerfile = f"{_dockerfile('code')}{environment}ENTRYPOINT {json.dumps(program.entry_point)}\n"
    return Build(
        _reference(program.name, dependencies_reference, dockerfile, digest(files)),
        dockerfile,
        ("DEPENDENCIES", dependencies_reference),
        files,
    )


def model(name: str, version: int, base_reference: str, files: tuple[File, ...]) -> Build:
    """The image of a model version, with `files` below `models/<name>/<version>`."""
    dockerfile = _dockerfile("model")
    return Build(
        _reference(name, base_reference, dockerfile, str(version), digest(files)),
        dockerfile,
        ("BASE", base_reference),
        files,
    )


def program_alias(program: Program) -> str:
    """The readable name of the newest image of a program."""
    return f"{REPOSITORY}/{program.name}:dev"


def model_alias(name: str, version: int) -> str:
    """The name that `spec.model.image` of an ImageClassifier gives.

    >>> model_alias("pizza-model", 1)
    'pizza-model:1'
    """
    return f"{name}:{version}"
