"""The commands of `python3 kind/tool.py`; some targets of the Makefile call one."""

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from laptop import (
    base_image,
    cluster,
    demo,
    engine,
    golang,
    mlflow,
    places,
    prometheus,
    python_environment,
    train_demo,
)
from laptop.cluster_state import LAPTOP, TWO_WORKERS, read_record
from laptop.command_line import parse
from laptop.kubernetes_programs import kind_program, kubectl_program
from laptop.progress import duration_text, output, step


def _cluster() -> None:
    engine.ensure()
    cluster.ensure()


def _cluster_with_workers() -> None:
    engine.ensure()
    cluster.ensure(TWO_WORKERS)


def _without_workers() -> None:
    with step("Remove the cluster with workers") as current:
        cluster.delete(TWO_WORKERS, current)


def _kubernetes() -> None:
    golang.ensure(
        [golang.KUBERNETES, golang.KWOK, golang.COLLECTOR, golang.OAUTH2_PROXY, golang.OIDC_PROVIDER]
    )


def _install_checkers() -> None:
    golang.ensure(golang.CHECKERS)
    prometheus.ensure()
    mlflow.ensure()


def _down() -> None:
    """Remove all containers, networks and processes of this project. The caches stay."""
    if engine.ran_here() and any(read_record(one) for one in (LAPTOP, TWO_WORKERS)):
        engine.ensure()  # a stopped engine keeps the containers of its clusters
    if engine.answers():
        with step("Remove the clusters") as current:
            for one in (LAPTOP, TWO_WORKERS):
                cluster.delete(one, current)
            if not output(["docker", "ps", "--all", "--quiet", "--filter=network=kind"]):
                output(["docker", "network", "rm", "kind"])
    with step("Stop our Docker Engine") as current:
        engine.stop(current)
    print(f"The cache {places.cache_directory()} is kept. `make clean` removes it too.")


def _clean() -> None:
    """Do what `down` does, and remove caches, images, logs and the data of our own Docker Engine."""
    engine_is_ours = engine.is_ours()
    _down()
    with step("Remove the caches") as current:
        for directory in (places.cache_directory(), engine.Files.of_this_machine().data):
            if directory.exists():
                current.say(f"removing {directory}")
                shutil.rmtree(directory, ignore_errors=True)
        if not engine_is_ours and engine.answers():
            ours = ("--filter=reference=imageclassifier-*", "--filter=reference=imageclassifier/*")
            for image in set((output(["docker", "images", "--quiet", *ours]) or "").split()):
                output(["docker", "rmi", "--force", image])


def _base_image() -> str:
    engine.ensure()
    with places.exclusive("base-image"):
        return base_image.ensure_base()


def _binary(program: golang.Program) -> Path:
    golang.ensure([program])
    return golang.binary_path(program)


#: Commands that change the machine; only one runs at a time.
WORK: dict[str, Callable[[], None]] = {
    "demo": demo.run,
    "train-demo": train_demo.run,
    "cluster": _cluster,
    "cluster-with-workers": _cluster_with_workers,
    "without-workers": _without_workers,
    "venv": python_environment.ensure,
    "kubernetes": _kubernetes,
    "install-checkers": _install_checkers,
    "engine": engine.ensure,
    "down": _down,
    "clean": _clean,
}
#: Commands that print one value to stdout, for other programs. They first build what is missing.
QUESTIONS: dict[str, Callable[[], Path | str]] = {
    "kubernetes-binary": lambda: _binary(golang.KUBERNETES),
    "kwok-binary": lambda: _binary(golang.KWOK),
    "helm-binary": lambda: _binary(golang.HELM),
    "versitygw-binary": lambda: _binary(golang.VERSITYGW),
    "collector-binary": lambda: _binary(golang.COLLECTOR),
    "traefik-binary": lambda: _binary(golang.TRAEFIK),
    "cyclonus-binary": lambda: _binary(golang.CYCLONUS),
    "kind-binary": kind_program,
    "kubectl-binary": kubectl_program,
    "base-image": _base_image,
}


def main(arguments: Sequence[str]) -> int:
    """Run the command that the command line names; returns the exit code."""
    name = parse(arguments, [*WORK, *QUESTIONS])
    began = time.monotonic()
    if name in QUESTIONS:
        print(QUESTIONS[name]())
        return 0
    try:
        with places.exclusive("make"):
            WORK[name]()
    except KeyboardInterrupt:
        print(f"\nInterrupted. Run `make {name}` again to continue.", file=sys.stderr)
        return 130
    print(f"{name}: {duration_text(time.monotonic() - began)} in total.", file=sys.stderr)
    return 0
