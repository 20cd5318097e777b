"""Locked packages as a directory, fetched on this machine by uv; nothing is executed, so any platform's will
do."""

import platform
from pathlib import Path

from images.recipes import Program
from laptop import places
from laptop.progress import Step, StepFailed

# manylinux_2_28: what the wheels of TensorFlow and grpcio ask for; every base image in use has a newer glibc.
_PLATFORM = "manylinux_2_28"
_UV = places.REPOSITORY / ".venv/bin/uv"
_REQUIREMENTS = places.REPOSITORY / "requirements"


def lock_text(program: Program) -> str:
    """The text of the program's lock files, one after the other."""
    return "".join((_REQUIREMENTS / name).read_text(encoding="utf-8") for name in program.lock_files)


def uv_arguments(machine: str, python_version: str, lock_file: Path, target: Path) -> list[str]:
    """uv's arguments: exactly the wheels of one lock file, by hash, for Linux on `machine` (as `uname -m`
    says)."""
    architecture = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)
    return [
        *("pip", "install", "--quiet", "--target", str(target)),
        *("--python-version", python_version, "--python-platform", f"{architecture}-{_PLATFORM}"),
        *("--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", str(lock_file)),
    ]


def install(program: Program, python_version: str, target: Path, current: Step) -> None:
    """Fill `target` with the program's packages for `python_version` ("3.11")."""
    if not _UV.exists():
        raise StepFailed(
            "The virtual environment is missing, whose uv fetches the packages: run `make venv`."
        )
    for name in program.lock_files:
        arguments = uv_arguments(platform.machine(), python_version, _REQUIREMENTS / name, target)
        current.run(
            [_UV, *arguments],
            advice="Look at the log: mostly the package registry did not answer; run it again.",
        )
