"""MLflow, for tests of models in its registry: in an environment of its own, from the locked requirements.

Its packages exclude versions that ours need, so it cannot be in `.venv`.
"""

import os
import shutil
import sys
from pathlib import Path

from laptop import places, python_environment
from laptop.progress import step

_LOCK = places.REPOSITORY / "requirements/mlflow.txt"
_UV = places.REPOSITORY / ".venv/bin/uv"


def program() -> Path:
    """The path of the program `mlflow` in the cache, whether it is there or not."""
    return places.cached("mlflow", places.digest([sys.version], [_LOCK])) / "bin/mlflow"


def ensure() -> None:
    """Install MLflow unless the cache has it."""
    final = program().parents[1]
    if program().is_file():
        return
    python_environment.ensure()
    with places.exclusive("mlflow"):
        if program().is_file():
            return
        with step("Install MLflow", "in an environment of its own, locked with hashes") as current:
            advice = "Read the end of the log. If the package index did not answer, run this again."
            temporary = final.with_name(f".{final.name}.{os.getpid()}")
            shutil.rmtree(temporary, ignore_errors=True)
            # Relocatable, because the finished environment is moved to its place.
            current.run([_UV, "venv", "--relocatable", "--python", sys.executable, temporary], advice=advice)
            current.run(
                [_UV, "pip", "install", "--require-hashes", "--only-binary=:all:", "-r", _LOCK],
                environment={"VIRTUAL_ENV": str(temporary)},
                advice=advice,
            )
            places.replace_directory(temporary, final)
