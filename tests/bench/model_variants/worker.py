"""Runs one variant on some cores. Reads a line for each measurement, and prints its figures as JSON.

python worker.py VARIANT MODEL CORES PIXELS.npy

VARIANT is the place in variants.VARIANTS. A line on stdin is `BATCH CALLS SECONDS`: the pictures in a call,
the number of calls at once, and the duration. The line `classify` prints the probabilities of all pixels.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from variants import VARIANTS, Pixels, Run


def measure(run: Run, pixels: Pixels, calls: int, seconds: float) -> dict[str, float]:
    """The time of each picture when `calls` threads send `pixels` again and again."""
    done = [0] * calls
    end = time.monotonic() + seconds

    def call(number: int) -> None:
        while time.monotonic() < end:
            run(pixels)
            done[number] += len(pixels)

    began, cpu = time.monotonic(), time.process_time()
    threads = [threading.Thread(target=call, args=(number,)) for number in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "ms": 1000 * (time.monotonic() - began) / sum(done),
        "cpu_ms": 1000 * (time.process_time() - cpu) / sum(done),
    }


def main() -> None:
    variant, model, cores = VARIANTS[int(sys.argv[1])], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    run, pixels = variant.load(model, cores), np.load(sys.argv[4])
    run(pixels[:1])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        answer: Any
        if line.strip() == "classify":
            answer = [run(pixels[at : at + 1])[0].tolist() for at in range(len(pixels))]
        else:
            batch, calls, seconds = line.split()
            run(pixels[: int(batch)])  # other shapes may need other memory
            answer = measure(run, pixels[: int(batch)], int(calls), float(seconds))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
