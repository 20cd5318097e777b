"""A real tracking server of MLflow with a model registry."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from free_ports import free_port
from waiting import wait_until

from laptop import mlflow

_START_SECONDS = 120
#: Registers the directory as version 1 with the files of a run, and as version 2 with a model of MLflow 3.
_REGISTER = """
import sys
import mlflow

url, directory = sys.argv[1:]
mlflow.set_tracking_uri(url)
client = mlflow.MlflowClient()
client.create_registered_model("our flowers")
with mlflow.start_run() as run:
    mlflow.log_artifacts(directory, "model")
client.create_model_version("our flowers", f"runs:/{run.info.run_id}/model", run.info.run_id)
mlflow.pyfunc.log_model(
    name="model", data_path=directory, loader_module="json", registered_model_name="our flowers"
)
client.set_registered_model_alias("our flowers", "best", 1)
"""
_MOVE_ALIAS = """
import sys
import mlflow

mlflow.set_tracking_uri(sys.argv[1])
mlflow.MlflowClient().set_registered_model_alias("our flowers", "best", int(sys.argv[2]))
"""


@dataclass
class MlflowServer:
    """The server with the registered model `our flowers`."""

    endpoint: str
    python: Path

    def register(self, directory: Path) -> None:
        """Register the files of a directory in both ways that MLflow has. The alias `best` leads to 1."""
        self._run(_REGISTER, str(directory))

    def move_alias(self, version: int) -> None:
        """Let the alias lead to another version."""
        self._run(_MOVE_ALIAS, str(version))

    def _run(self, script: str, *arguments: str) -> None:
        command: list[str | Path] = [self.python, "-c", script, self.endpoint, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """Run the server in `folder`. Needs `make install-checkers`."""
    program = mlflow.program()
    assert program.is_file(), f"There is no MLflow for tests yet ({program}). Run `make install-checkers`."
    port = free_port()
    stores = [
        f"--backend-store-uri=sqlite:///{folder}/mlflow.db",
        f"--artifacts-destination={folder}/artifacts",
    ]
    command: list[str | Path] = [
        program,
        "server",
        *stores,
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{endpoint}/health"), "the MLflow server", _START_SECONDS)
        yield MlflowServer(endpoint, program.with_name("python"))
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=1).close()
    except OSError:
        return False
    return True
