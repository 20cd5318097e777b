"""The stacks that are compared: this product, a tutorial's, and Keras without any server."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import environments
import grpc
from servers import HERE as GATEWAY_BENCH
from servers import free_port, start_gateways, started, wait_for

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.model_source import ImageSource
from imageclassifier_operator.api.serving import Batching, ServingSettings
from imageclassifier_operator.render.model_server_config import (
    CONFIG_DIRECTORY,
    MODEL_ROOT,
    config_files,
    server_flags,
)
from laptop import models

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
MODEL_SERVER = REPOSITORY / "model_server" / "src" / "model_server" / "tensorflow_model_server"
#: The cores of what answers HTTP: the CPU limit of a gateway's pod is one.
FRONT_CORES = "0"
#: (2 x cores) + 1, as the documentation of gunicorn recommends.
WORKERS = 3
#: The names that the reference of the other benchmark expects.
KERAS_MODEL = "bench-model"
TIMEOUT_SECONDS = 30
BENTOML = "bentoml"


@dataclass(frozen=True)
class Bench:
    """What the stacks share: a folder for their files, and the models."""

    folder: Path
    pizza: Path
    keras: Path


@dataclass(frozen=True)
class Running:
    """A stack that answers on its ports, and the processes that it consists of."""

    ports: list[int] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    program: tuple[Path, ...] = (GATEWAY_BENCH / "load.py",)

    def load_command(self, seconds: float, connections: int, path: Path) -> list[str]:
        """The command that measures: the load generator, or the loop itself."""
        arguments = [seconds, connections, path, ",".join(map(str, self.ports))]
        return [sys.executable, *map(str, self.program), *map(str, arguments)]


@dataclass(frozen=True)
class Stack:
    """A way to serve the model."""

    name: str
    start: Callable[[Bench], AbstractContextManager[Running]]
    why_not: Callable[[], str | None] = lambda: None


def pizza_base_path() -> Path:
    """The folder of the pizza model; exports version 1 if the cache does not have it."""
    return models.ensure((1,)) / models.MODEL


def make_keras_models(folder: Path) -> Path:
    """Export the same network as a tutorial does: a .keras file, and a SavedModel with float32 pixels."""
    out = folder / "keras"
    training = REPOSITORY / "examples" / "pizza" / "v1"
    command = [sys.executable, str(HERE / "export_as_tutorials.py"), str(training), str(out)]
    subprocess.run(command, check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return out


@contextmanager
def _product(
    bench: Bench, batching: Batching | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """One gateway and one model server, with the flags of their pods."""
    serving = ServingSettings(batching=batching)
    version = ModelVersion(1, models.MODEL, ImageSource("pizza"), serving, None, "")
    with ExitStack() as stack:
        for annotation, text in config_files(version).items():
            file = bench.folder / annotation.rpartition("/")[2]
            file.write_text(text.replace(MODEL_ROOT, str(bench.pizza.parent)))
        flags = [
            flag.replace(CONFIG_DIRECTORY, str(bench.folder))
            for flag in server_flags(version, TIMEOUT_SECONDS)
            if not flag.startswith("--port=")
        ]
        port, server = _start_model_server(bench, flags, stack)
        options = argparse.Namespace(processes=1, cores=FRONT_CORES)
        gateways = stack.enter_context(start_gateways(bench.folder, port, options, models.MODEL, settings))
        yield Running(gateways.ports, [*gateways.pids, server])


def _tutorial(app: str) -> Callable[[Bench], AbstractContextManager[Running]]:
    """Flask under gunicorn before a model server with its default flags."""

    @contextmanager
    def start(bench: Bench) -> Iterator[Running]:
        rest_port, port = free_port(), free_port()
        flags = [
            f"--rest_api_port={rest_port}",
            f"--model_name={KERAS_MODEL}",
            f"--model_base_path={bench.keras / 'saved'}",
        ]
        environment = {
            **os.environ,
            "MODEL_URL": f"http://127.0.0.1:{rest_port}/v1/models/{KERAS_MODEL}:predict",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        with ExitStack() as stack:
            model_port, server = _start_model_server(bench, flags, stack)
            environment["MODEL_TARGET"] = f"127.0.0.1:{model_port}"
            command = [
                "taskset", "--cpu-list", FRONT_CORES, sys.executable, "-m", "gunicorn",
                "--pythonpath", f"{GATEWAY_BENCH},{HERE}", "--workers", WORKERS, "--timeout", 120,
                "--bind", f"127.0.0.1:{port}", f"{app}:app",
            ]  # fmt: skip
            front = started(command, bench.folder / "tutorial.log", stack, environment)
            wait_for(port, "/ready")
            yield Running([port], [front.pid, server])

    return start


@contextmanager
def _bentoml(bench: Bench) -> Iterator[Running]:
    """BentoML with the model in its own process. It has all cores."""
    port = free_port()
    environment = {
        **os.environ,
        "KERAS_MODEL": str(bench.keras / "model.keras"),
        "BENTOML_DO_NOT_TRACK": "true",
        "BENTOML_HOME": str(bench.folder / "bentoml"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [
        environments.python(BENTOML), "-m", "bentoml", "serve", "bento_service:Pizza", "--working-dir", HERE,
        "--host", "127.0.0.1", "--port", port,
    ]  # fmt: skip
    with ExitStack() as stack:
        server = started(command, bench.folder / "bentoml.log", stack, environment)
        wait_for(port, "/readyz")
        yield Running([port], [server.pid])


def _start_model_server(bench: Bench, flags: list[str], stack: ExitStack) -> tuple[int, int]:
    """Start the model server; returns its port and its process id."""
    port = free_port()
    environment = {
        **os.environ,
        "MODEL_SERVER_BIND_ADDRESS": "127.0.0.1",
        "MODEL_SERVER_PYTHON": sys.executable,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [MODEL_SERVER, f"--port={port}", *flags]
    server = started(command, bench.folder / "model-server.log", stack, environment)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=180)
    return port, server.pid


@contextmanager
def _loop(bench: Bench) -> Iterator[Running]:
    yield Running(program=(HERE / "keras_loop.py", bench.keras / "model.keras"))


LOOP = Stack("keras predict in a loop, no server", _loop)
STACKS = (
    Stack("this gateway", _product),
    Stack("with batching in the model server", partial(_product, batching=Batching())),
    Stack(
        "with a cache, for a known picture", partial(_product, settings={"GATEWAY_CACHE_BYTES": "10000000"})
    ),
    Stack("tutorial, REST with JSON", _tutorial("tutorial_rest")),
    Stack("tutorial, gRPC with float32", _tutorial("reference_gateway")),
    Stack(BENTOML, _bentoml, partial(environments.why_not, BENTOML)),
    LOOP,
)
