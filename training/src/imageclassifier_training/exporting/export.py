"""Exports a finished training as a model version for TensorFlow Serving.

The exported model is loaded in a fresh process and compared with the trained network before it is published.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import (
    DISTANCE_TENSOR,
    MAPS_TENSOR,
    PROBABILITIES_TENSOR,
    Contract,
    Explanation,
    Familiarity,
    Golden,
    ModelInput,
    Unfamiliar,
)
from imageclassifier_gateway.pixels.images import prepare

from ..errors import ModelError, TrainingError
from ..files import numbered
from ..networks.class_maps import class_maps
from ..networks.learned import Training
from ..words import counted
from . import golden, saved_model

#: Distances are from 0 to 2, one minus a sum of a thousand float32 products.
_DISTANCE_TOLERANCE = 1e-3
#: A picture farther away than this share of the training images has no label. So about one of 200 pictures
#: like them loses it, which is far below the errors of most models.
_BEYOND = 0.995
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Exported:
    """A published version, the size of its SavedModel, and what its check measured."""

    folder: Path
    size_bytes: int
    load_seconds: float
    milliseconds_per_picture: float
    worst_difference: float

    @property
    def figures(self) -> str:
        """The size and the times, in words."""
        return (
            f"{self.size_bytes / 1e6:.1f} MB, loads in {self.load_seconds:.2f} s, "
            f"{self.milliseconds_per_picture:.0f} ms per image on one core"
        )


@dataclass(frozen=True)
class Check:
    """What an export is compared with before it is published.

    `pixels`, uint8 `(images, height, width, 3)`, and their `probabilities` are compared beside the golden
    images. `advice` says what to do about a difference above `tolerance`.
    """

    original: str = "the trained network"
    advice: str = "Check that the same TensorFlow trained and exports the model."
    #: Both run on the same CPU; one has its constants folded.
    tolerance: float = 1e-5
    pixels: NDArray[np.uint8] | None = None
    probabilities: NDArray[np.float64] | None = None


_OF_TRAINING = Check()
Beside = Callable[[Path, Exported], None]
"""Writes more files into the folder of a version, before it is published. An error prevents that."""


#: A GPU rounds differently, and milliseconds are those of one CPU core.
_CPU = "/CPU:0"
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}


def _nothing(folder: Path, exported: Exported) -> None:
    pass


@dataclass(frozen=True)
class Place:
    """Where a version goes: `<out>/<name of the model>/<version>/`, and what else is written there.

    An existing version is replaced only if `replace` is true.
    """

    out: Path
    version: int
    replace: bool = False
    beside: Beside = _nothing


def export_training(
    training: Training, name: str, place: Place, weights: dict[str, Path] | None = None
) -> Exported:
    """Export a finished training as a version of the model `name`.

    `weights` are weights files by backbone name, as for `network.build`. Raises the errors of `publish`.
    """
    with tf.device(_CPU):
        network = training.network(weights)

    measured, head = training.familiarity, network.head

    def compute(pixels: Any) -> dict[str, Any]:
        *spatial, features, probabilities = network.inside(pixels, training=False)
        found = {PROBABILITIES_TENSOR: probabilities, MAPS_TENSOR: class_maps(spatial, head)}
        if measured is not None:
            found[DISTANCE_TENSOR] = measured.distance.of_tensor(features)
        return found

    def run(pixels: NDArray[np.uint8], output: str = PROBABILITIES_TENSOR) -> NDArray[np.float64]:
        with tf.device(_CPU):
            return np.asarray(compute(tf.constant(pixels, tf.float32))[output], dtype=np.float64)

    contract = Contract(
        name=name,
        input=training.architecture.input,
        classes=training.classes,
        threshold=training.threshold,
        backbone=str(training.architecture),
        metrics=training.metrics,
        data_digest=training.data_digest,
        created=training.created,
        familiarity=None if measured is None else Familiarity(measured.quantiles, Unfamiliar(_BEYOND)),
        explanation=Explanation(),
    )
    cases = golden.make(contract.input, run)
    distances = None
    if measured is not None:
        distances = run(_pixels(cases, contract.input), DISTANCE_TENSOR)
    return publish(compute, contract, cases, place, trained_on=training.trained_on, distances=distances)


def next_version(folder: Path) -> int:
    """The version after the highest one in the folder of a model; 1 if there is none."""
    return 1 + max(numbered(folder), default=0)


def publish(
    probabilities: saved_model.Probabilities,
    contract: Contract,
    cases: Golden,
    place: Place,
    trained_on: NDArray[np.uint64] | None = None,
    distances: NDArray[np.float64] | None = None,
    check: Check = _OF_TRAINING,
) -> Exported:
    """Write a version to a temporary folder, load it in a fresh process, compare it, and rename the folder.

    `distances` are those of the golden images from the training images, `(golden images,)`, if the model
    returns distances.

    Raises ModelError when the loaded model returns something else for the compared images. Raises
    TrainingError when the version exists and `replace` is false, or when its number is invalid.
    """
    if not 1 <= place.version <= MAX_VERSION:
        raise TrainingError(
            f"Invalid version {place.version}: use a whole number between 1 and {MAX_VERSION}."
        )
    folder = place.out / contract.name / str(place.version)
    with staged(folder, replace=place.replace) as staging:
        saved_model.write(staging, probabilities, contract, cases, trained_on)
        loaded = _reload(staging, contract.input, cases, check)
        worst = loaded.worst_difference
        if not worst <= check.tolerance:
            others = "" if check.pixels is None else f" and {counted(len(check.pixels), 'other')}"
            raise ModelError(
                f"The export was not published. On the golden images{others}, its probabilities differ from "
                f"those of {check.original} by {worst:.2g}, and at most {check.tolerance:g} is allowed. "
                f"{check.advice}"
            )
        if distances is not None and not np.allclose(
            loaded.distances[: len(distances)], distances, rtol=_DISTANCE_TOLERANCE, atol=_DISTANCE_TOLERANCE
        ):
            raise ModelError(
                "The export was not published. On the golden images, its distances from the training images "
                f"are {np.round(loaded.distances[: len(distances)], 4)}, and those of the trained network "
                f"{np.round(distances, 4)}. Check that the same TensorFlow trained and exports the model."
            )
        size = sum(each.stat().st_size for each in staging.rglob("*") if each.is_file())
        exported = Exported(folder, size, loaded.load_seconds, loaded.milliseconds, worst)
        place.beside(staging, exported)
    return exported


@contextmanager
def staged(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` when the block succeeds, and is deleted when it fails.

    Raises TrainingError when `folder` exists and `replace` is false.
    """
    if folder.exists() and not replace:
        raise TrainingError(
            f"{folder} already exists, and a version that is being served must not change. "
            "Export a higher --version, or add --replace if no server uses this one."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # TensorFlow Serving reads only folders whose name is a number, so it ignores this one.
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        staging.chmod(0o755)
        yield staging
        _swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@dataclass(frozen=True)
class _Reloaded:
    """What a fresh process measured with the golden images: the times, and what the model returned.

    `worst_difference` is the largest one of a probability; `distances` are empty if the model has none.
    """

    load_seconds: float
    milliseconds: float
    worst_difference: float
    distances: NDArray[np.float64]


def _pixels(cases: Golden, wanted: ModelInput) -> NDArray[np.uint8]:
    return np.stack([prepare(case.picture, wanted) for case in cases.cases])


def _reload(staging: Path, wanted: ModelInput, cases: Golden, check: Check) -> _Reloaded:
    """Load the model in a fresh process, and run it on the golden images and on those of the check."""
    with tempfile.TemporaryDirectory() as exchange:
        pixels, results = Path(exchange, "pixels.npy"), Path(exchange, "results.npz")
        compared = _pixels(cases, wanted)
        expected = np.array([case.probabilities for case in cases.cases])
        if check.pixels is not None and check.probabilities is not None:
            compared = np.concatenate([compared, check.pixels])
            expected = np.concatenate([expected, check.probabilities])
        np.save(pixels, compared)
        run = subprocess.run(
            [sys.executable, "-m", f"{__package__}.reload", str(staging), str(pixels), str(results)],
            capture_output=True,
            text=True,
            env={**os.environ, **_NO_GPU},
            check=False,
        )
        if run.returncode != 0:
            raise ModelError(
                f"The export was not published. A fresh process cannot load it: {run.stderr.strip()[-500:]}"
            )
        with np.load(results) as result:
            worst = float(np.abs(result["probabilities"] - expected).max())
            return _Reloaded(
                float(result["load_seconds"]), float(result["milliseconds"]), worst, result["distances"]
            )


def _swap(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-old-"))
    folder.rename(old / folder.name)
    staging.rename(folder)
    shutil.rmtree(old)
