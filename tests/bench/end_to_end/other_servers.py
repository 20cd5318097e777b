"""Servers that people would install, each on all cores: BentoML, KServe's Python server, and MLServer."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import environments
from servers import free_port, started, wait_for
from stack import Bench, Running, Stack

HERE = Path(__file__).parent
BENTOML, KSERVE = ("bentoml",), ("kserve",)
#: Workers of MLServer 1.7.1 end at once with a newer uvloop.
MLSERVER = ("mlserver", "uvloop<0.22")
MODEL = "pizza"


@contextmanager
def _running(
    bench: Bench,
    name: str,
    port: int,
    command: list[Any],
    ready: str,
    path: str = "/predict",
    request: Callable[[str], Any] | None = None,
) -> Iterator[Running]:
    """A server that is ready. `request` makes a JSON request of a picture in base64."""
    environment = {
        **os.environ,
        "KERAS_MODEL": str(bench.keras / "model.keras"),
        "PYTHONPATH": str(HERE),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(bench.folder / "bentoml"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }

    def body(picture: Path) -> Path:
        if request is None:
            return picture
        file = picture.with_name(f"{picture.stem}-{name}.json")
        file.write_text(json.dumps(request(base64.b64encode(picture.read_bytes()).decode())))
        return file

    with ExitStack() as stack:
        server = started(command, bench.folder / f"{name}.log", stack, environment)
        wait_for(port, ready, 120)
        yield Running([port], [server.pid], path=path, body=body)


@contextmanager
def _bentoml(bench: Bench) -> Iterator[Running]:
    port = free_port()
    command = [
        environments.python(*BENTOML), "-m", "bentoml", "serve", "bento_service:Pizza", "--working-dir", HERE,
        "--host", "127.0.0.1", "--port", port,
    ]  # fmt: skip
    with _running(bench, "bentoml", port, command, "/readyz") as running:
        yield running


@contextmanager
def _kserve(bench: Bench) -> Iterator[Running]:
    port = free_port()
    command = [
        environments.python(*KSERVE), HERE / "kserve_model.py", "--model_name", MODEL, "--http_port", port,
        "--enable_grpc", "false",
    ]  # fmt: skip
    path = f"/v1/models/{MODEL}:predict"

    def request(text: str) -> Any:
        return {"instances": [{"image": {"b64": text}}]}

    with _running(bench, "kserve", port, command, "/v2/health/ready", path, request) as running:
        yield running


@contextmanager
def _mlserver(bench: Bench) -> Iterator[Running]:
    port = free_port()
    folder = bench.folder / "mlserver"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "metrics_dir": str(folder / "metrics"),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": MODEL, "implementation": "mlserver_model.Pizza"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [environments.python(*MLSERVER).with_name("mlserver"), "start", folder]
    path = f"/v2/models/{MODEL}/infer"

    def request(text: str) -> Any:
        image = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}
        return {"inputs": [{**image, "parameters": {"content_type": "base64"}}]}

    with _running(bench, "mlserver", port, command, "/v2/health/ready", path, request) as running:
        yield running


OTHER_SERVERS = (
    Stack("BentoML", _bentoml, BENTOML),
    Stack("KServe's Python server", _kserve, KSERVE),
    Stack("MLServer", _mlserver, MLSERVER),
)
