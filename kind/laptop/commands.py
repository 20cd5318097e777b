"""The commands of `python3 kind/tool.py`, which the Makefile's targets call one by one."""

import argparse
import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from laptop import cluster, demo, engine, golang, images, places, python_environment
from laptop.progress import duration_text, output, step


def _cluster() -> None:
    engine.ensure()
    cluster.ensure()


def _cluster_with_workers() -> None:
    engine.ensure()
    cluster.ensure(cluster.TWO_WORKERS)


def _kubernetes() -> None:
    golang.ensure([golang.KUBERNETES, golang.KWOK])


def _down() -> None:
    """Takes away every container, network and process of ours; the cache of what was made stays."""
    if engine.answers():
        with step("Remove the clusters") as current:
            for one in (cluster.LAPTOP, cluster.TWO_WORKERS):
                cluster.delete(one, current)
            if not output(["docker", "ps", "--all", "--quiet", "--filter=network=kind"]):
                output(["docker", "network", "rm", "kind"])
    with step("Stop our Docker Engine") as current:
        engine.stop(current)
    print(f"The cache stays in {places.cache_directory()}; `make clean` removes it as well.")


def _clean() -> None:
    """All that `down` does, and the caches, images, logs and the data of a Docker Engine of ours."""
    ours = engine.is_ours()
    _down()
    with step("Remove the caches") as current:
        for directory in (places.cache_directory(), engine.Files.of_this_machine().data):
            if directory.exists():
                current.say(f"removing {directory}")
                shutil.rmtree(directory, ignore_errors=True)
        if not ours and engine.answers():
            for name in ("imageclassifier-node", "imageclassifier-base", "imageclassifier-node-build"):
                found = output(["docker", "images", "--quiet", name]) or ""
                for image in set(found.split()):
                    output(["docker", "rmi", "--force", image])


def _print_binary(program: golang.Program) -> Callable[[], None]:
    def command() -> None:
        golang.ensure([program])
        print(golang.binary_path(program))

    return command


def _print_base_image() -> None:
    engine.ensure()
    print(images.ensure_base())


COMMANDS: dict[str, Callable[[], None]] = {
    "demo": demo.run,
    "cluster": _cluster,
    "cluster-with-workers": _cluster_with_workers,
    "venv": python_environment.ensure,
    "kubernetes": _kubernetes,
    "engine": engine.ensure,
    "down": _down,
    "clean": _clean,
    "kubernetes-binary": _print_binary(golang.KUBERNETES),
    "kwok-binary": _print_binary(golang.KWOK),
    "cyclonus-binary": _print_binary(golang.CYCLONUS),
    "kind-binary": lambda: print(cluster.kind_program()),
    "kubectl-binary": lambda: print(cluster.kubectl_program()),
    "base-image": _print_base_image,
}


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two runs at once would make things twice and undo each other's work; a killed run's lock ends with it."""
    path = places.state_directory() / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is at work; waiting for it to end.", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="kind/tool.py", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    name = parser.parse_args(arguments).command
    began = time.monotonic()
    with _one_at_a_time():
        COMMANDS[name]()
    if not name.endswith(("-binary", "-image")):
        print(f"{name}: {duration_text(time.monotonic() - began)} in all.", file=sys.stderr)
    return 0
