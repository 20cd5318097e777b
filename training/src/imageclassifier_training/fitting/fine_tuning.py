"""Fine-tunes the last blocks of a backbone together with the head, in a way that survives being killed.

After each epoch the whole state (weights, optimiser, the best weights so far, history) is on disk; started
again, the next epoch goes on from there, with the same order of pictures as without the interruption: the
result is the same bit for bit. Batch normalisation is folded into the convolutions beforehand, so small
batches cannot upset its statistics.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from ..files import write_atomically
from ..networks.head import Head, softmax
from ..pictures.dataset import Progress
from .activations import Activations

_WARMUP_SHARE = 0.1
_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class FineTuning:
    """What to fine-tune and how: the last `blocks` (None: all), at most `epochs`, with a learning rate that
    rises over the first tenth and then falls to nothing as a half cosine. A tenth of the
    pictures, kept aside, decides which epoch was best, and training stops after `patience` epochs without a
    better one; with patience 0 none are kept aside and the last epoch counts."""

    blocks: int | None
    epochs: int = 4
    learning_rate: float = 1e-5
    weight_decay: float = 1e-4
    patience: int = 2
    batch: int = 32


@dataclass
class _State:
    """Where a run stands: all arrays by name, and what happened so far."""

    epoch: int = 0
    best_loss: float = float("inf")
    waited: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


class Tuner:
    """The blocks to be tuned with a head behind them, as one trainable network from activations to logits."""

    def __init__(self, tuned: keras.Model, head: Head, options: FineTuning, seed: int) -> None:
        self._options = options
        self._seed = seed
        blocks = keras.models.clone_model(tuned)
        blocks.set_weights(tuned.get_weights())
        self.blocks = blocks
        activations = keras.Input(blocks.input.shape[1:])
        pooled = keras.layers.GlobalAveragePooling2D()(blocks(activations))
        self._dense = keras.layers.Dense(head.kernel.shape[1])
        self._network = keras.Model(activations, self._dense(pooled))
        self._dense.set_weights([head.kernel, head.bias])
        self._logits = tf.function(lambda batch: self._network(batch, training=False), reduce_retracing=True)

    @property
    def head(self) -> Head:
        """The head as it is now."""
        return Head(*self._dense.get_weights())

    def probabilities(self, activations: Activations, pictures: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities `(pictures, classes)` for the pictures as they are served."""
        rows = []
        for start in range(0, len(pictures), self._options.batch):
            some = pictures[start : start + self._options.batch]
            batch = activations.batch(some, np.zeros(len(some), dtype=np.int64))
            rows.append(self._logits(tf.constant(batch)).numpy())
        return softmax(np.concatenate(rows).astype(np.float64))

    def fit(
        self,
        activations: Activations,
        labels: NDArray[np.int64],
        inside: NDArray[np.int64],
        aside: NDArray[np.int64],
        class_weights: NDArray[np.float32],
        checkpoint: Path,
        logs: Path,
        progress: Progress,
    ) -> list[dict[str, float]]:
        """Train on the pictures `inside`, choose the epoch by those `aside` (if any); gives the history."""
        steps = max(1, len(inside) // self._options.batch)
        total = steps * self._options.epochs
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            total,
            warmup_target=self._options.learning_rate,
            warmup_steps=max(1, int(_WARMUP_SHARE * total)),
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=self._options.weight_decay, global_clipnorm=_GRADIENT_NORM
        )
        variables = self._network.trainable_variables
        optimizer.build(variables)
        step = self._step(optimizer, variables, class_weights)
        fingerprint = self._fingerprint(inside, aside)
        state, best = self._resume(checkpoint, optimizer, fingerprint)
        writer = tf.summary.create_file_writer(str(logs))
        while state.epoch < self._options.epochs and not self._out_of_patience(state):
            state.epoch += 1
            losses = []
            for pictures, chosen in _batches(inside, activations.views, steps, self._seed, state.epoch):
                losses.append(step(tf.constant(activations.batch(pictures, chosen)), labels[pictures]))
                progress(f"Fine-tuning {checkpoint.stem}, epoch {state.epoch}", len(losses), steps)
            entry = {"epoch": state.epoch, "loss": float(np.mean([float(loss) for loss in losses]))}
            if len(aside):
                predicted = self.probabilities(activations, aside)
                entry["kept_aside_loss"] = float(
                    log_loss(labels[aside], predicted, labels=np.arange(predicted.shape[1]))
                )
            judged = entry.get(
                "kept_aside_loss", -state.epoch
            )  # without any kept aside, the last is the best
            state.waited += 1
            if judged < state.best_loss:
                state.best_loss, state.waited, best = judged, 0, self._network.get_weights()
            state.history.append(entry)
            with writer.as_default(step=state.epoch):
                for name, value in entry.items():
                    tf.summary.scalar(name, value)
            writer.flush()
            self._save(checkpoint, state, best, optimizer, fingerprint)
        self._network.set_weights(best)
        return state.history

    def _step(
        self, optimizer: Any, variables: Sequence[Any], class_weights: NDArray[np.float32]
    ) -> Callable[..., Any]:
        weights = tf.constant(class_weights)

        def step(batch: Any, truth: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = self._network(batch, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                loss = tf.reduce_mean(losses * tf.gather(weights, truth))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        return tf.function(step, reduce_retracing=True)  # type: ignore[no-any-return]

    def _out_of_patience(self, state: _State) -> bool:
        return 0 < self._options.patience <= state.waited

    def _fingerprint(self, inside: NDArray[np.int64], aside: NDArray[np.int64]) -> str:
        """A checkpoint of another run (other options, other pictures, other start) is not gone on from."""
        digest = hashlib.sha256(json.dumps([asdict(self._options), self._seed]).encode())
        for array in (inside, aside, *self._network.get_weights()):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _save(
        self, path: Path, state: _State, best: list[NDArray[Any]], optimizer: Any, fingerprint: str
    ) -> None:
        arrays = {f"weight/{i}": value for i, value in enumerate(self._network.get_weights())}
        arrays |= {f"best/{i}": value for i, value in enumerate(best)}
        arrays |= {f"optimizer/{i}": value.numpy() for i, value in enumerate(optimizer.variables)}
        arrays["state"] = np.array(json.dumps([fingerprint, asdict(state)]))
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomically(path, buffer.getvalue())

    def _resume(self, path: Path, optimizer: Any, fingerprint: str) -> tuple[_State, list[NDArray[Any]]]:
        fresh = _State(), self._network.get_weights()
        try:
            with np.load(path, allow_pickle=False) as stored:
                known, values = json.loads(str(stored["state"]))
                if known != fingerprint:
                    return fresh
                count = len(fresh[1])
                self._network.set_weights([stored[f"weight/{i}"] for i in range(count)])
                for i, variable in enumerate(optimizer.variables):
                    variable.assign(stored[f"optimizer/{i}"])
                return _State(**values), [stored[f"best/{i}"] for i in range(count)]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return fresh


def _batches(
    inside: NDArray[np.int64], view_count: int, steps: int, seed: int, epoch: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The pictures and views of each step; seed and epoch alone decide them, so that a resumed run agrees."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(inside)
    chosen = random.integers(0, view_count, len(inside))
    return list(zip(np.array_split(order, steps), np.array_split(chosen, steps), strict=True))
