"""Loads an exported model in a fresh process, classifies given pixels, and writes what it returns.

Usage: python -m imageclassifier_training.exporting.reload SAVED_MODEL PIXELS.npy RESULTS.npz
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from . import saved_model

_TIMED_RUNS = 10


def main(model: Path, pixels_file: Path, results_file: Path) -> None:
    """Classify the pixels, uint8 `(batch, height, width, 3)`, and time single images on one core."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    pixels = np.load(pixels_file, allow_pickle=False)
    start = time.perf_counter()
    loaded = saved_model.load(model)
    load_seconds = time.perf_counter() - start
    probabilities, distances = loaded.scores(pixels)
    durations = []
    loaded.probabilities(pixels[:1])
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        loaded.probabilities(pixels[:1])
        durations.append(time.perf_counter() - start)
    np.savez(
        results_file,
        probabilities=probabilities,
        distances=np.empty(0) if distances is None else distances,
        load_seconds=load_seconds,
        milliseconds=1000 * float(np.median(durations)),
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
