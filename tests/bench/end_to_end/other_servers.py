"""Servers that people would install, each on all cores: BentoML, KServe's Python server, and MLServer."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import environments
from servers import free_port, started, wait_for
from stack import Bench, Running, Stack

HERE = Path(__file__).parent
BENTOML, KSERVE, MLSERVER = "bentoml", "kserve", "mlserver"
#: Workers of MLServer 1.7.1 end at once with a newer uvloop.
MLSERVER_PACKAGES = (MLSERVER, "uvloop<0.22")
MODEL = "pizza"


def _environment(bench: Bench) -> dict[str, str]:
    return {
        **os.environ,
        "KERAS_MODEL": str(bench.keras / "model.keras"),
        "PYTHONPATH": str(HERE),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(bench.folder / "bentoml"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@contextmanager
def _bentoml(bench: Bench) -> Iterator[Running]:
    port = free_port()
    command = [
        environments.python(BENTOML), "-m", "bentoml", "serve", "bento_service:Pizza", "--working-dir", HERE,
        "--host", "127.0.0.1", "--port", port,
    ]  # fmt: skip
    with ExitStack() as stack:
        server = started(command, bench.folder / "bentoml.log", stack, _environment(bench))
        wait_for(port, "/readyz", 120)
        yield Running([port], [server.pid])


@contextmanager
def _kserve(bench: Bench) -> Iterator[Running]:
    port = free_port()
    command = [
        environments.python(KSERVE), HERE / "kserve_model.py", "--model_name", MODEL, "--http_port", port,
        "--enable_grpc", "false",
    ]  # fmt: skip
    with ExitStack() as stack:
        server = started(command, bench.folder / "kserve.log", stack, _environment(bench))
        wait_for(port, "/v2/health/ready", 120)

        def body(picture: Path) -> Path:
            return _json_beside(picture, KSERVE, lambda text: {"instances": [{"image": {"b64": text}}]})

        yield Running([port], [server.pid], path=f"/v1/models/{MODEL}:predict", body=body)


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
    command = [environments.python(*MLSERVER_PACKAGES).with_name("mlserver"), "start", folder]
    with ExitStack() as stack:
        server = started(command, bench.folder / "mlserver.log", stack, _environment(bench))
        wait_for(port, "/v2/health/ready", 120)

        def body(picture: Path) -> Path:
            return _json_beside(picture, MLSERVER, _open_inference_request)

        yield Running([port], [server.pid], path=f"/v2/models/{MODEL}/infer", body=body)


def _open_inference_request(text: str) -> dict[str, Any]:
    parameters = {"content_type": "base64"}
    image = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": parameters, "data": [text]}
    return {"inputs": [image]}


def _json_beside(picture: Path, name: str, request: Any) -> Path:
    """The file beside a picture with the JSON request that has the picture in base64."""
    file = picture.with_name(f"{picture.stem}-{name}.json")
    file.write_text(json.dumps(request(base64.b64encode(picture.read_bytes()).decode())))
    return file


OTHER_SERVERS = (
    Stack("BentoML", _bentoml, partial(environments.why_not, BENTOML)),
    Stack("KServe's Python server", _kserve, partial(environments.why_not, KSERVE)),
    Stack("MLServer", _mlserver, partial(environments.why_not, *MLSERVER_PACKAGES)),
)
_PACKAGES = dict(
    zip((each.name for each in OTHER_SERVERS), ((BENTOML,), (KSERVE,), MLSERVER_PACKAGES), strict=True)
)


def versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of the servers among the names of stacks."""
    return {name: environments.version(*_PACKAGES[name]) for name in names if name in _PACKAGES}
