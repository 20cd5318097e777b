"""Installs locked packages into a directory with uv, for any platform: nothing of them is executed."""

import platform
from pathlib import Path

from images.recipes import Program
from laptop import places
from laptop.progress import Step, StepFailed

# The wheels of TensorFlow and grpcio need manylinux_2_28; the base images have a newer glibc.
_PLATFORM = "manylinux_2_28"
UV = places.REPOSITORY / ".venv/bin/uv"
_REQUIREMENTS = places.REPOSITORY / "requirements"


def lock_text(program: Program) -> str:
    """The concatenated lock files of the program."""
    return "".join((_REQUIREMENTS / name).read_text(encoding="utf-8") for name in program.lock_files)


def uv_arguments(machine: str, python_version: str, lock_file: Path, target: Path) -> list[str]:
    """The arguments of uv: the wheels of one lock file, by hash, for Linux on `machine` (`uname -m`)."""
    architecture = {"arm64": "aarch64", "amd64": "x86_64"}.get(machine, machine)
    return [
        *("pip", "install", "--quiet", "--target", str(target)),
        *("--python-version", python_version, "--python-platform", f"{architecture}-{_PLATFORM}"),
        *("--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", str(lock_file)),
    ]


def install(program: Program, python_version: str, target: Path, current: Step) -> None:
    """Install the packages of the program for `python_version` ("3.11") into `target`."""
    if not UV.exists():
        raise StepFailed(
            "The virtual environment with uv, which downloads the packages, is missing. Run `make venv`."
        )
    for name in program.lock_files:
        arguments = uv_arguments(platform.machine(), python_version, _REQUIREMENTS / name, target)
        current.run(
            [UV, *arguments],
            advice="Read the end of the log. If the package index did not answer, run this again.",
        )
