#!/usr/bin/env python
"""Makes a bad model on purpose: what training learned, with the two classes mixed up.

    examples/pizza/mislabel.py examples/pizza/v1 runs/mislabelled
    imageclassifier-training export runs/mislabelled --name pizza-model --version 3

It is what a data scientist gets whose two folders were swapped: the model loads, answers quickly, is sure of
itself, and its own golden pictures agree with it. Only pictures whose answer is known can tell
(spec.rollout.acceptance).
"""

import argparse
import shutil
from pathlib import Path

import numpy as np


def mislabel(learned: Path, out: Path) -> None:
    """Copies a training folder to `out` with the head's last axis, one column a class, in reverse order."""
    shutil.copytree(learned, out)
    with np.load(learned / "learned.npz") as arrays:
        swapped = {
            name: array[..., ::-1] if name.startswith("head/") else array for name, array in arrays.items()
        }
    np.savez_compressed(out / "learned.npz", **swapped)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("learned", type=Path, help="a folder that `train --out` filled")
    parser.add_argument("out", type=Path, help="the folder to make")
    arguments = parser.parse_args()
    mislabel(arguments.learned, arguments.out)


if __name__ == "__main__":
    main()
