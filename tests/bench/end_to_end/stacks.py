"""The stacks that are compared: this product, a tutorial's, other servers, and Keras without any server."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import grpc
from other_servers import OTHER_SERVERS
from servers import HERE as GATEWAY_BENCH
from servers import free_port, start_gateways, started, wait_for
from stack import Bench, Running, Stack

from imageclassifier_operator.api import ModelVersion
from imageclassifier_operator.api.model_source import ImageSource
from imageclassifier_operator.api.serving import Batching, ServingSettings
from imageclassifier_operator.render.model_server_config import (
    CONFIG_DIRECTORY,
    MODEL_ROOT,
    config_files,
    server_flags,
)
from imageclassifier_operator.rollout.routing import calls_of_pod
from laptop import models, places

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
_CORES = str(len(os.sched_getaffinity(0)))
_DEFAULTS = ServingSettings()
#: The resources of a model server that may use the whole machine, and says so.
_LIMITED = {"limits": {"cpu": _CORES, "memory": "2Gi"}}


def pizza_base_path() -> Path:
    """The folder of the pizza model; exports version 1 if the cache does not have it."""
    return models.ensure((1,)) / models.MODEL


def make_keras_models() -> Path:
    """What a tutorial exports: the same network as a .keras file and a SavedModel, and Xception."""
    training, script = REPOSITORY / "examples" / "pizza" / "v1", HERE / "export_as_tutorials.py"
    out = places.cached("bench-keras-models", places.digest([], [script, *training.iterdir()]))
    if not out.exists():
        made = out.with_name(f"{out.name}.part")
        command = [sys.executable, str(script), str(training), str(made)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        places.replace_directory(made, out)
    return out


@contextmanager
def _product(
    bench: Bench, serving: ServingSettings = _DEFAULTS, settings: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """One gateway and one model server, with the flags of their pods."""
    version = ModelVersion(1, models.MODEL, ImageSource("pizza"), serving, None, "")
    with ExitStack() as stack:
        for annotation, text in config_files(version).items():
            file = bench.folder / annotation.rpartition("/")[2]
            file.write_text(text.replace(MODEL_ROOT, str(bench.pizza.parent)))
        flags = [
            flag.replace(CONFIG_DIRECTORY, str(bench.folder)).replace("$(CPU_LIMIT)", _CORES)
            for flag in server_flags(version, TIMEOUT_SECONDS)
            if not flag.startswith("--port=")
        ]
        port, server = _start_model_server(bench, flags, stack)
        options = argparse.Namespace(processes=1, cores=FRONT_CORES)
        calls = calls_of_pod(serving)
        gateways = stack.enter_context(
            start_gateways(bench.folder, port, options, models.MODEL, settings, calls)
        )
        yield Running(gateways.ports, [*gateways.pids, server])


def _tutorial(app: str, model: str = "saved") -> Callable[[Bench], AbstractContextManager[Running]]:
    """Flask under gunicorn before a model server with its default flags."""

    @contextmanager
    def start(bench: Bench) -> Iterator[Running]:
        rest_port, port = free_port(), free_port()
        flags = [
            f"--rest_api_port={rest_port}",
            f"--model_name={KERAS_MODEL}",
            f"--model_base_path={bench.keras / model}",
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


STACKS = (
    Stack("this gateway", _product, takes_urls=True),
    Stack(
        "with a CPU limit of the model server",
        partial(_product, serving=ServingSettings(resources=_LIMITED)),
        takes_urls=True,
    ),
    Stack(
        "with batching in the model server",
        partial(_product, serving=ServingSettings(batching=Batching())),
        small_only=True,
    ),
    Stack(
        "with a cache, for a known picture",
        partial(_product, settings={"GATEWAY_CACHE_BYTES": "10000000"}),
        small_only=True,
    ),
    Stack("tutorial, REST with JSON", _tutorial("tutorial_rest"), takes_urls=True),
    Stack("tutorial, gRPC with float32", _tutorial("reference_gateway"), takes_urls=True),
    Stack("tutorial with Xception, REST", _tutorial("tutorial_rest", "xception")),
    Stack("tutorial with Xception, gRPC", _tutorial("reference_gateway", "xception")),
    *OTHER_SERVERS,
    Stack("keras predict in a loop, no server", _loop, connections=(1,)),
)
