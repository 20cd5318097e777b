"""The virtual environment `.venv`, installed from the locked requirements with their hashes."""

import shutil
import sys
from pathlib import Path

from laptop import apt, places
from laptop.progress import Step, StepFailed, output, step

_DIRECTORY = places.REPOSITORY / ".venv"
_STAMP = _DIRECTORY / ".made-from"
_NEWEST_PYTHON = (3, 13)


def _inputs() -> list[Path]:
    locks = [places.REPOSITORY / "requirements" / f"{name}.txt" for name in ("bootstrap", "dev", "no-deps")]
    return [*locks, places.REPOSITORY / "pyproject.toml"]


def ensure() -> None:
    """Create `.venv`, or update it if the locks or the Python version have changed."""
    key = places.digest([sys.version], _inputs())
    if _STAMP.exists() and _STAMP.read_text(encoding="utf-8") == key:
        return
    with step("Install the Python environment", ".venv, locked with hashes") as current:
        if sys.version_info[:2] > _NEWEST_PYTHON:
            raise StepFailed("Python 3.11 to 3.13 is needed. Run `make PYTHON=python3.13 ...`.")
        _install(current)
        _STAMP.write_text(key, encoding="utf-8")


def _install(current: Step) -> None:
    python, uv = _DIRECTORY / "bin/python", _DIRECTORY / "bin/uv"
    advice = "Read the end of the log. If the package index did not answer, run this again."
    usable = output([python, "-c", "import pip, sys; print(sys.version)"]) == sys.version
    if not usable:
        if output([sys.executable, "-c", "import ensurepip"]) is None:
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            apt.install([f"python{version}-venv"], current, f"install Python {version}'s venv module")
        shutil.rmtree(_DIRECTORY, ignore_errors=True)
        current.run([sys.executable, "-m", "venv", _DIRECTORY], advice=advice)
    requirements = places.REPOSITORY / "requirements"
    pip_install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary=:all:",
    ]
    current.run([*pip_install, "-r", requirements / "bootstrap.txt"], advice=advice)
    environment = {"VIRTUAL_ENV": str(_DIRECTORY)}
    locked: list[str | Path] = [uv, "pip", "install", "--require-hashes"]
    current.run([*locked, "-r", requirements / "dev.txt"], environment=environment, advice=advice)
    current.run(
        [*locked, "--no-deps", "-r", requirements / "no-deps.txt"], environment=environment, advice=advice
    )
    current.run(
        [uv, "pip", "install", "--no-build-isolation", "--no-deps", "--editable", places.REPOSITORY],
        environment=environment,
        advice=advice,
    )
