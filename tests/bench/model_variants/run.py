"""Measures the exported pizza model by itself: runtimes, precisions, cores, batches and calls at once.

    python tests/bench/model_variants/run.py PICTURES              prints tables in Markdown
    python tests/bench/model_variants/run.py PICTURES --write      and renews them in docs/performance.md

PICTURES is a folder with a folder of photographs for each class. All variants take turns in each round, so
that other work on the machine slows all of them. The least time of all rounds counts, because other work
changes it least.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2] / part) for part in ("kind", "model_server/src", "tests/bench/gateway")]

import table  # noqa: E402
import usage  # noqa: E402
from pages import renewed  # noqa: E402
from servers import use_bytecode  # noqa: E402
from variants import VARIANTS, Pixels, Variant, make_files  # noqa: E402

from imageclassifier_gateway.contract import ModelInput, pixels_digest  # noqa: E402
from imageclassifier_gateway.pixels.images import prepare  # noqa: E402
from laptop import models, places  # noqa: E402

#: The pictures that measure the ranges of activations for int8.
CALIBRATION = 32
#: Pictures in a call, and calls at once.
LOADS = ((1, 1), (2, 1), (4, 1), (8, 1), (1, 8))


class Worker:
    """The process of a variant with some cores."""

    def __init__(self, variant: Variant, model: Path, cores: int, pixels: Path, stack: ExitStack) -> None:
        arguments = [HERE / "worker.py", VARIANTS.index(variant), model, cores, pixels]
        path = os.pathsep.join(part for part in sys.path if part)
        self._process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path, **variant.environment},
        )
        stack.callback(self._end)
        self._answer()

    def ask(self, line: str) -> Any:
        """Send a line, and return the figures."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The process ended: {self._process.args!r}. Run it by hand to see why.")
        return json.loads(line)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="a folder with a folder of photographs for each class")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="variants whose name matches (default: all)"
    )
    parser.add_argument("--cores", default="1,2", help="numbers of cores (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="for each figure in a round (default: %(default)s)"
    )
    parser.add_argument(
        "--compared", type=int, default=100, help="pictures of each class (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help="also write the figures as JSON to this file")
    parser.add_argument("--write", action="store_true", help=f"also renew the tables in {table.PAGE.name}")
    options = parser.parse_args()
    cores = [int(part) for part in options.cores.split(",") if int(part) <= len(os.sched_getaffinity(0))]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        use_bytecode(folder / "bytecode")  # compiling TensorFlow's modules takes each process 10 s
        figures = measure(folder, cores, options, stack)
    print(text := table.tables(figures))
    if options.write:
        table.PAGE.write_text(renewed(table.PAGE.read_text(), table.BEGIN, text, table.END))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))


def measure(folder: Path, cores: list[int], options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Measure every variant on each number of cores; returns plain values."""
    saved_model = models.ensure((1,)) / models.MODEL / "1"
    pixels, labels = read_pictures(options.pictures, ModelInput(224, 224), options.compared)
    np.save(folder / "pixels.npy", pixels)
    # Converting takes minutes.
    key = places.digest([saved_model.parents[1].name, pixels_digest(pixels)])
    converted = places.cached("bench-model-variants", key)
    converted.mkdir(parents=True, exist_ok=True)
    make_files(saved_model, converted, pixels[:CALIBRATION])
    figures: dict[str, Any] = {
        "machine": usage.machine(),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "pictures": len(pixels),
        "not_measured": {},
        "rows": {},
    }
    # Arm's processors have `Features` in place of `flags`.
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    workers = {}
    for variant in VARIANTS:
        if not re.search(options.only, variant.name):
            continue
        if reason := variant.why_not(set(flags[1].split()) if flags else set()):
            figures["not_measured"][variant.name] = reason
            continue
        model = converted / variant.file if variant.file else saved_model
        for count in cores:
            workers[variant.name, count] = Worker(variant, model, count, folder / "pixels.npy", stack)
    answers: dict[str, NDArray[np.float64]] = {}
    for (name, _), worker in workers.items():
        if name not in answers:
            answers[name] = np.array(worker.ask("classify"))
            difference = compared(answers[name], next(iter(answers.values())), labels)
            figures["rows"][name] = {"loads": {}, **difference}
    for number, count, load in itertools.product(range(options.rounds), cores, LOADS):
        print(f"round {number + 1}, {count} cores, {load}", file=sys.stderr)
        for name, row in figures["rows"].items():
            result = workers[name, count].ask(f"{load[0]} {load[1]} {options.seconds}")
            key = f"{count} {load[0]} {load[1]}"
            row["loads"].setdefault(key, []).append(result)
    figures["load_after"] = os.getloadavg()[0]
    return figures


def compared(answers: NDArray[np.float64], first: NDArray[np.float64], labels: list[int]) -> dict[str, float]:
    """How far a variant's probabilities are from those of the first variant, and its correct labels."""
    chosen = answers.argmax(axis=1)
    return {
        "largest_difference": float(np.abs(answers - first).max()),
        "other_labels": int((chosen != first.argmax(axis=1)).sum()),
        "correct": int((chosen == np.array(labels)).sum()),
    }


def read_pictures(root: Path, wanted: ModelInput, count: int) -> tuple[Pixels, list[int]]:
    """The pixels of `count` pictures of each class, and the places of their classes in the sorted names."""
    pixels, labels = [], []
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    for label, folder in enumerate(classes):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        if not files:
            raise SystemExit(f"{folder} has no photographs. Name a folder with one for each class.")
        for file in files[:count]:
            pixels.append(prepare(file.read_bytes(), wanted))
            labels.append(label)
    if not pixels:
        raise SystemExit(f"{root} has no folders. Name a folder with one of photographs for each class.")
    order = np.random.default_rng(0).permutation(len(pixels))  # so that any first ones are of all classes
    return np.stack([pixels[at] for at in order]), [labels[at] for at in order]


if __name__ == "__main__":
    main()
