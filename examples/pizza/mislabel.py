#!/usr/bin/env python
"""Makes a bad model on purpose: a finished training with its two classes swapped.

    examples/pizza/mislabel.py examples/pizza/v1 runs/mislabelled
    imageclassifier-training export runs/mislabelled --name pizza-model --version 3

A data scientist who swaps two folders gets such a model. It loads, it is fast and confident, and its golden
images agree with it. Only images with known labels show the mistake (spec.rollout.acceptance).
"""

import argparse
import shutil
from pathlib import Path

import numpy as np


def mislabel(learned: Path, out: Path) -> None:
    """Copy a training folder to `out` with the columns of the head, one per class, in reverse order."""
    shutil.copytree(learned, out)
    with np.load(learned / "learned.npz") as arrays:
        swapped = {
            name: array[..., ::-1] if name.startswith("head/") else array for name, array in arrays.items()
        }
    np.savez_compressed(out / "learned.npz", **swapped)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("learned", type=Path, help="a folder that `train --out` filled")
    parser.add_argument("out", type=Path, help="the folder to make")
    arguments = parser.parse_args()
    mislabel(arguments.learned, arguments.out)


if __name__ == "__main__":
    main()
