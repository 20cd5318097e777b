"""Fine-tunes the last blocks of a backbone together with the head; a run that was killed can be resumed.

After each epoch, the whole state of the run is saved. A resumed run sees the images in the same order as an
uninterrupted one, so its result is the same bit for bit. Batch normalisation is already folded into the
convolutions, so small batches cannot disturb its statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from ..networks.head import Head, softmax
from ..progress import Progress
from .activations import Activations
from .checkpoints import Checkpoint, State, fingerprint
from .mixed_precision import in_bfloat16
from .options import FineTuning

_WARMUP_SHARE = 0.1
_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Examples:
    """The images of a run: activations, labels, and the indices of the training set and of the hold-out."""

    activations: Activations
    labels: NDArray[np.int64]
    training: NDArray[np.int64]
    hold_out: NDArray[np.int64]
    class_weights: NDArray[np.float32]


class Tuner:
    """The fine-tuned blocks and the head as one trainable network, from activations to logits."""

    def __init__(self, blocks: keras.Model, head: Head, options: FineTuning, seed: int) -> None:
        self._options = options
        self._seed = seed
        self.blocks = keras.models.clone_model(blocks)
        self.blocks.set_weights(blocks.get_weights())
        self._dense = keras.layers.Dense(head.kernel.shape[1])
        self._network = self._with_head(self.blocks)
        self._dense.set_weights([head.kernel, head.bias])
        # The network that the optimizer changes; `_network` is what is measured and saved.
        self._trained = (
            self._with_head(in_bfloat16(self.blocks)) if options.mixed_precision else self._network
        )
        self._logits = tf.function(lambda batch: self._network(batch, training=False), reduce_retracing=True)
        self._pooled = tf.function(
            lambda batch: tf.reduce_mean(self.blocks(batch, training=False), axis=(1, 2)),
            reduce_retracing=True,
        )

    def _with_head(self, blocks: keras.Model) -> keras.Model:
        activations = keras.Input(blocks.input.shape[1:])
        pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(blocks(activations))
        return keras.Model(activations, self._dense(pooled))

    @property
    def head(self) -> Head:
        """The current head."""
        return Head(*self._dense.get_weights())

    def probabilities(self, activations: Activations, pictures: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute probabilities `(images, classes)` of view 0, the image as the gateway prepares it."""
        return softmax(self._run(self._logits, activations, pictures).astype(np.float64))

    def features(self, activations: Activations, pictures: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute pooled features `(images, features)` of view 0."""
        return self._run(self._pooled, activations, pictures)

    def _run(
        self, function: Callable[..., Any], activations: Activations, pictures: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(pictures), self._options.batch):
            some = pictures[start : start + self._options.batch]
            batch = activations.batch(some, np.zeros(len(some), dtype=np.int64))
            rows.append(function(tf.constant(batch)).numpy())
        return np.concatenate(rows)

    def fit(
        self, examples: Examples, checkpoint_file: Path, logs: Path, progress: Progress
    ) -> list[dict[str, float]]:
        """Train, keep the weights of the best epoch, and return the losses of each epoch."""
        steps = max(1, len(examples.training) // self._options.batch)
        optimizer = self._optimizer(steps * self._options.epochs)
        step = self._step(optimizer, self._trained.trainable_variables, examples.class_weights)
        identity = fingerprint(
            [asdict(self._options), self._seed],
            [examples.training, examples.hold_out, *self._network.get_weights()],
        )
        checkpoint = Checkpoint(checkpoint_file, identity, self._trained, optimizer)
        state, best = checkpoint.resume()
        writer = tf.summary.create_file_writer(str(logs))
        while state.epoch < self._options.epochs and not self._stops_early(state):
            state.epoch += 1
            losses = []
            epoch = f"Fine-tune ({checkpoint_file.stem}, epoch {state.epoch})"
            progress(epoch, 0, steps)
            for pictures, views in _batches(examples, steps, self._seed, state.epoch):
                batch = examples.activations.batch(pictures, views)
                losses.append(step(tf.constant(batch), examples.labels[pictures]))
                progress(epoch, len(losses), steps)
            if self._trained is not self._network:
                self._network.set_weights(self._trained.get_weights())
            entry = {"epoch": state.epoch, "loss": float(np.mean([float(loss) for loss in losses]))}
            if len(examples.hold_out):
                entry["hold_out_loss"] = self._hold_out_loss(examples)
            # Without a hold-out, the last epoch is the best one.
            loss = entry.get("hold_out_loss", -state.epoch)
            state.epochs_without_improvement += 1
            if loss < state.best_loss:
                state.best_loss, state.epochs_without_improvement = loss, 0
                best = self._network.get_weights()
            state.history.append(entry)
            with writer.as_default(step=state.epoch):
                for name, value in entry.items():
                    tf.summary.scalar(name, value)
            writer.flush()
            checkpoint.save(state, best)
        self._network.set_weights(best)
        return state.history

    def _optimizer(self, steps: int) -> Any:
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0,
            steps,
            warmup_target=self._options.learning_rate,
            warmup_steps=max(1, int(_WARMUP_SHARE * steps)),
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=self._options.weight_decay, global_clipnorm=_GRADIENT_NORM
        )
        optimizer.build(self._trained.trainable_variables)
        return optimizer

    def _step(
        self, optimizer: Any, variables: Sequence[Any], class_weights: NDArray[np.float32]
    ) -> Callable[..., Any]:
        weights = tf.constant(class_weights)

        def step(batch: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = self._trained(batch, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses * tf.gather(weights, labels))
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        return tf.function(step, reduce_retracing=True)  # type: ignore[no-any-return]

    def _hold_out_loss(self, examples: Examples) -> float:
        predicted = self.probabilities(examples.activations, examples.hold_out)
        labels = examples.labels[examples.hold_out]
        return float(log_loss(labels, predicted, labels=np.arange(predicted.shape[1])))

    def _stops_early(self, state: State) -> bool:
        return 0 < self._options.patience <= state.epochs_without_improvement


def _batches(
    examples: Examples, steps: int, seed: int, epoch: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Choose the images and views of each step from the seed and the epoch alone, so that runs can resume."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(examples.training)
    views = random.integers(0, examples.activations.views, len(order))
    return list(zip(np.array_split(order, steps), np.array_split(views, steps), strict=True))
