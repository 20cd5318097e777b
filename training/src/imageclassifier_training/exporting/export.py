"""From a finished training to a version that TF Serving serves, compared in a fresh process before it is in
place.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import Contract, Golden, ModelInput
from imageclassifier_gateway.images import prepare

from ..errors import ModelError, TrainingError
from ..networks.learned import Training
from . import golden, saved_model

#: The same CPU computes both, with constants folded in one of them.
_TOLERANCE = 1e-5
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True)
class Exported:
    """A version in place, with what its check found."""

    folder: Path
    size_bytes: int
    load_seconds: float
    milliseconds_per_picture: float
    worst_difference: float


def export_training(
    training: Training,
    name: str,
    version: int,
    out: Path,
    *,
    replace: bool = False,
    weights: dict[str, Path] | None = None,
) -> Exported:
    """Export a finished training as `<out>/<name>/<version>/`; `weights` as for `network.build`.

    Raises as `place` does.
    """
    network = training.network(weights)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(network.model(pixels.astype(np.float32), training=False), dtype=np.float64)

    contract = Contract(
        name=name,
        input=training.architecture.input,
        classes=training.classes,
        threshold=training.threshold,
        backbone=str(training.architecture),
        metrics=training.metrics,
        data_digest=training.data_digest,
        created=training.created,
    )
    cases = golden.make(contract.input, run)
    return place(
        lambda pixels: network.model(pixels, training=False), contract, cases, version, out, replace=replace
    )


def place(
    probabilities: saved_model.Probabilities,
    contract: Contract,
    cases: Golden,
    version: int,
    out: Path,
    *,
    replace: bool = False,
) -> Exported:
    """Write a version beside its place, load it in a fresh process, compare, and rename it into its place.

    Raises ModelError when the loaded model answers the golden pictures differently, TrainingError when the
    version is there already (and `replace` is not said) or has an impossible number.
    """
    if not 1 <= version <= MAX_VERSION:
        raise TrainingError(f"A version is a whole number between 1 and {MAX_VERSION}, not {version}.")
    folder = out / contract.name / str(version)
    with staged(folder, replace=replace) as staging:
        saved_model.write(staging, probabilities, contract, cases)
        load_seconds, milliseconds, worst = _reload(staging, contract.input, cases)
        if not worst <= _TOLERANCE:
            raise ModelError(
                f"The exported model answers the golden pictures differently from the trained network: "
                f"by {worst:.2g}, where {_TOLERANCE:g} is allowed. Nothing was put in place."
            )
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    return Exported(folder, size, load_seconds, milliseconds, worst)


@contextmanager
def staged(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends, and vanishes when it fails.

    Raises TrainingError when `folder` exists and is not to be replaced.
    """
    if folder.exists() and not replace:
        raise TrainingError(
            f"{folder} exists. A version that may be serving never changes: export a higher number, "
            "or say --replace when nobody serves it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # TF Serving looks only at folders whose name is a number, so it never sees this one.
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        staging.chmod(0o755)
        yield staging
        _swap(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _reload(staging: Path, wanted: ModelInput, cases: Golden) -> tuple[float, float, float]:
    """Load in a fresh process; give seconds to load, milliseconds a picture, and the largest difference."""
    with tempfile.TemporaryDirectory() as exchange:
        pixels, answers = Path(exchange, "pixels.npy"), Path(exchange, "answers.npz")
        np.save(pixels, np.stack([prepare(case.png, wanted) for case in cases.cases]))
        run = subprocess.run(
            [sys.executable, "-m", f"{__package__}.reload", str(staging), str(pixels), str(answers)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise ModelError(f"The exported model cannot be loaded again: {run.stderr.strip()[-500:]}")
        with np.load(answers) as answer:
            expected = np.array([case.probabilities for case in cases.cases])
            worst = float(np.abs(answer["probabilities"] - expected).max())
            return float(answer["load_seconds"]), float(answer["milliseconds"]), worst


def _swap(staging: Path, folder: Path) -> None:
    if not folder.exists():
        staging.rename(folder)
        return
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-old-"))
    folder.rename(old / folder.name)
    staging.rename(folder)
    shutil.rmtree(old)
