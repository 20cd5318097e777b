"""The model server stand-in with models of examples/tiny_model, on a port of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from free_ports import free_port

from gateway_testbed import eventually
from imageclassifier_gateway.versions.model_server_client import ModelServer
from imageclassifier_gateway.versions.model_server_errors import ModelServerError

ROOT = Path(__file__).parents[3]
MAKE_ALL = """
import sys; sys.path.insert(0, sys.argv[1])
import json, make, pathlib
for name, version, variant in json.loads(sys.argv[3]):
    make.make(pathlib.Path(sys.argv[2]), name=name, version=version, variant=variant)
"""


def make_models(folder: Path, variants: Mapping[tuple[str, int], str]) -> None:
    """Makes each model and version in a folder, as the variant of examples/tiny_model that it is to be."""
    document = json.dumps([(name, version, variant) for (name, version), variant in variants.items()])
    subprocess.run(
        [sys.executable, "-c", MAKE_ALL, str(ROOT / "examples" / "tiny_model"), str(folder), document],
        check=True,
        capture_output=True,
    )


@contextmanager
def running(folder: Path, names: tuple[str, ...], *flags: str) -> Iterator[str]:
    """A model server with all versions of these models; gives the target for a routing file."""
    config = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }"
        for name in names
    )
    (folder / "models.config").write_text(f"model_config_list {{ {config} }}")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                ROOT / "model_server" / "src" / "model_server" / "tensorflow_model_server",
                f"--port={port}",
                "--rest_api_port=0",
                f"--model_config_file={folder / 'models.config'}",
                *flags,
            ],
            env={
                **os.environ,
                "MODEL_SERVER_PYTHON": sys.executable,
                "MODEL_SERVER_BIND_ADDRESS": "127.0.0.1",
            },
            stdout=log,
            stderr=log,
        )
    target = f"dns:///127.0.0.1:{port}"
    client = ModelServer(target, names[-1], 1)

    def answers() -> Any:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return client.status(timeout_seconds=1)
        except ModelServerError:
            return None

    try:
        eventually(answers, "the model server answers", 120)
        yield target
    finally:
        client.close()
        process.kill()
        process.wait()
