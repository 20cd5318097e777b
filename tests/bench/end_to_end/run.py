"""Measures the pizza model behind the whole path, and what people would have instead, in the same run.

    python tests/bench/end_to_end/run.py                          every stack, 2.5 s for each row
    python tests/bench/end_to_end/run.py --only 'gateway|REST'    those whose name matches this
    python tests/bench/end_to_end/run.py --runs 3 --write         and renew the tables in the documentation

The stacks run as processes with the flags and the CPU limits of their pods: what answers HTTP has one core,
and the model server all cores. Servers that run the model in their own process have all cores. Load
generator, stacks and the server of the URL share this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "gateway"), str(HERE.parents[2] / "kind")]

import environments  # noqa: E402
import tables  # noqa: E402
import usage  # noqa: E402
import workloads  # noqa: E402
from pages import renewed  # noqa: E402
from servers import DidNotStartError, use_bytecode  # noqa: E402
from stack import Bench, Stack  # noqa: E402

from stacks import STACKS, make_keras_models, pizza_base_path  # noqa: E402

LARGE = "12 MP JPEG"
#: With more connections, slow stacks would need half a minute for the last requests of a row.
MOST_FOR_LARGE = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.5, help="for each row (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=1, help="runs of each row (default: %(default)s)")
    parser.add_argument(
        "--only", default="", metavar="REGEX", help="stacks whose name matches (default: all)"
    )
    parser.add_argument("--out", type=Path, help="also write the figures as JSON to this file")
    parser.add_argument("--write", action="store_true", help="also renew the figures in docs/ and the README")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes of this run are stopped
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        use_bytecode(folder / "bytecode")
        figures = measure(folder, options, stack)
    text = tables.tables(figures)
    print(text)
    if options.write:
        tables.PAGE.write_text(renewed(tables.PAGE.read_text(), tables.BEGIN, text, tables.END))
        if line := tables.headline(figures):
            tables.README.write_text(tables.renewed_readme(tables.README.read_text(), line))
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1))


def measure(folder: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Measure every chosen stack; returns plain values."""
    paths = workloads.write(folder, stack)
    bench = Bench(folder, pizza_base_path(), make_keras_models())
    figures: dict[str, Any] = {
        "machine": usage.machine(),
        "commit": _commit(),
        "seconds": options.seconds,
        "runs": options.runs,
        "stacks": {},
        "not_measured": {},
    }
    chosen = [each for each in STACKS if re.search(options.only, each.name)]
    for each in chosen:
        if each.packages and (reason := environments.why_not(*each.packages)):
            figures["not_measured"][each.name] = reason
    # The stacks take turns, so that a change of the machine's speed concerns all of them.
    for each in options.runs * chosen:
        if each.name in figures["not_measured"]:
            continue
        try:
            rows = measure_stack(each, bench, paths, options.seconds)
        except DidNotStartError as error:
            figures["not_measured"][each.name] = str(error)
            continue
        for name, result in rows.items():
            figures["stacks"].setdefault(each.name, {}).setdefault(name, []).append(result)
    figures["versions"] = {
        each.name: environments.version(*each.packages)
        for each in chosen
        if each.packages and each.name in figures["stacks"]
    }
    figures["load_after"] = os.getloadavg()[0]
    return figures


def measure_stack(stack: Stack, bench: Bench, paths: dict[str, Path], seconds: float) -> dict[str, Any]:
    """One row for each workload and number of connections."""
    rows: dict[str, Any] = {}
    with stack.start(bench) as running:
        # The first prediction of Keras takes seconds.
        _output(running.load_command(0.1, 1, next(iter(paths.values()))))
        for workload, path in list(paths.items())[: 1 if stack.small_only else None]:
            if path.suffix == ".json" and not stack.takes_urls:
                continue
            for connections in stack.connections:
                if workload == LARGE and connections > MOST_FOR_LARGE:
                    continue
                cpu = usage.cpu_seconds(running.pids)
                result = json.loads(_output(running.load_command(seconds, connections, path)))
                if answered := result.pop("answered", None):
                    result["cpu_ms"] = 1000 * (usage.cpu_seconds(running.pids) - cpu) / answered
                    result["megabytes"] = usage.memory(running.pids)["Pss"]
                rows[f"{workload}, {connections}"] = result
                print(stack.name, workload, connections, result, file=sys.stderr)
    return rows


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--exclude", "*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
