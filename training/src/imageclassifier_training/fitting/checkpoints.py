"""Checkpoints of fine-tuning: the whole state of a run after an epoch, written atomically.

A checkpoint carries a fingerprint of its run. A run with other options, images or initial weights has another
fingerprint and ignores it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ..files import write_atomically

#: The name of the fit on all images, and of its checkpoint.
FINAL = "final"


def fold_name(repeat: int, fold: int) -> str:
    """The name of a fit of the cross-validation, and of its checkpoint."""
    return f"repeat{repeat}-fold{fold}"


@dataclass
class State:
    """How far a run is: the finished epochs, the best loss, and the epochs since that loss."""

    epoch: int = 0
    best_loss: float = float("inf")
    epochs_without_improvement: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def fingerprint(options: Any, arrays: list[NDArray[Any]]) -> str:
    """Hash what identifies a run: its options as JSON values, its images and its initial weights."""
    digest = hashlib.sha256(json.dumps(options).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint file of one run."""

    path: Path
    fingerprint: str
    network: keras.Model
    optimizer: Any

    def save(self, state: State, best: list[NDArray[Any]]) -> None:
        """Write the state, the current and the best weights, and the optimizer's variables."""
        arrays = {f"weight/{i}": value for i, value in enumerate(self.network.get_weights())}
        arrays |= {f"best/{i}": value for i, value in enumerate(best)}
        arrays |= {f"optimizer/{i}": value.numpy() for i, value in enumerate(self.optimizer.variables)}
        arrays["state"] = np.array(json.dumps([self.fingerprint, asdict(state)]))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomically(self.path, buffer.getvalue())

    def resume(self) -> tuple[State, list[NDArray[Any]]]:
        """Restore the network and the optimizer; return the state and the best weights so far.

        Without a valid checkpoint of this run, the run starts from the beginning.
        """
        start = State(), self.network.get_weights()
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                known, values = json.loads(str(stored["state"]))
                if known != self.fingerprint:
                    return start
                state, count = State(**values), len(start[1])
                self.network.set_weights([stored[f"weight/{i}"] for i in range(count)])
                for i, variable in enumerate(self.optimizer.variables):
                    variable.assign(stored[f"optimizer/{i}"])
                return state, [stored[f"best/{i}"] for i in range(count)]
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return start
