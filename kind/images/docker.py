"""Runs the docker command line. Works with engines since 20.10, with or without BuildKit."""

import contextlib
import subprocess
import tarfile
from pathlib import PurePosixPath

from images.recipes import Build
from images.trees import File, write_tar

_SAID_CHARACTERS = 1500


class DockerError(Exception):
    """A docker command failed; the message has the command and its output."""


def run(*arguments: str) -> str:
    """Run docker and return its standard output. Raises DockerError."""
    result = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True)
    if result.returncode:
        said = (result.stderr or result.stdout).decode(errors="replace").strip()
        raise DockerError(f"`docker {' '.join(arguments)}` failed: {said[-_SAID_CHARACTERS:]}")
    return result.stdout.decode()


def image_id(reference: str) -> str | None:
    """The id of a local image; None if it does not exist."""
    try:
        return run("image", "inspect", "--format", "{{.Id}}", reference).strip()
    except DockerError:
        return None


def build(wanted: Build) -> None:
    """Build an image without network access. Its context is streamed and not written to disk."""
    name, value = wanted.argument
    command = ["docker", "build", "--quiet", "--network=none", "--tag", wanted.reference]
    command += ["--build-arg", f"{name}={value}", "-"]
    dockerfile = File(PurePosixPath("Dockerfile"), wanted.dockerfile.encode())
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        # Docker may fail before it has read everything; its message follows.
        with contextlib.suppress(BrokenPipeError), process.stdin:
            write_tar((dockerfile, *wanted.files), process.stdin)
        said = process.stderr.read().decode(errors="replace").strip()
        if process.wait():
            raise DockerError(f"building {wanted.reference} failed: {said[-_SAID_CHARACTERS:]}")


class SavedImage:
    """Stream the archive of `docker save`. A context manager."""

    def __init__(self, reference: str) -> None:
        self._process = subprocess.Popen(["docker", "save", reference], stdout=subprocess.PIPE)

    def __enter__(self) -> tarfile.TarFile:
        assert self._process.stdout is not None
        return tarfile.open(fileobj=self._process.stdout, mode="r|")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
