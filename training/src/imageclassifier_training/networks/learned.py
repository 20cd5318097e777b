"""A finished training on disk: the weights that it changed, and a record of how it was done.

`learned.npz` holds the head (float32) and, for each weight that fine-tuning changed, its difference to the
ImageNet weight as int8 steps, scaled for each output channel. The size of a step is the largest change
divided by 127. This takes a quarter of the space of float32. It also holds the first 8 bytes of the sha256 of
each training image, so that an evaluation can say which images the model was trained on, and what the
distance from the training images is computed from. `training.json` records the options, the environment and
the metrics.
"""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imageclassifier_gateway.contract import ModelClass

from ..errors import TrainingError
from ..files import write_atomically
from .architecture import Architecture
from .backbones import backbone
from .distance import Distance
from .head import Head
from .network import Network, build

RECORD_FILE = "training.json"
LEARNED_FILE = "learned.npz"
SCHEMA = 1


def now() -> str:
    """The time as `created` of a training and of a contract has it, such as 2026-11-23T00:00:00Z."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def fingerprints(digests: Iterable[str]) -> NDArray[np.uint64]:
    """The first 8 bytes of sha256 digests in hexadecimal, sorted and without repetitions."""
    return np.unique(np.array([int(each[:16], 16) for each in digests], dtype=np.uint64))


@dataclass(frozen=True)
class Delta:
    """The change of one weight: int8 steps, and the size of a step for each output channel."""

    steps: NDArray[np.int8]
    step_sizes: NDArray[np.float32]

    @classmethod
    def between(cls, old: NDArray[np.float32], new: NDArray[np.float32]) -> Delta:
        """Quantise the difference of two weights."""
        change = new - old
        # A depthwise kernel has the shape (height, width, channels, 1), every other one (..., channels).
        depthwise = change.ndim == 4 and change.shape[-1] == 1
        channels = change.ndim - (2 if depthwise else 1)
        others = tuple(axis for axis in range(change.ndim) if axis != channels)
        largest = np.abs(change).max(axis=others, keepdims=True)
        sizes = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        return cls(np.rint(change / sizes).astype(np.int8), sizes)

    def apply(self, old: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add the change to the old weight."""
        return old + self.steps.astype(np.float32) * self.step_sizes


@dataclass(frozen=True)
class Learned:
    """The weights that training changed: the head, and the deltas by `branch/layer/index`."""

    head: Head
    deltas: Mapping[str, Delta] = field(default_factory=dict)

    def put_into(self, network: Network) -> None:
        """Apply the changes to a network that has its ImageNet weights."""
        for name, delta in self.deltas.items():
            branch, layer_name, index = name.split("/")
            layer = network.branches[int(branch)].get_layer(layer_name)
            weights = layer.get_weights()
            weights[int(index)] = delta.apply(weights[int(index)])
            layer.set_weights(weights)
        network.set_head(self.head)


@dataclass(frozen=True)
class MeasuredDistance:
    """The distance from the training images, and its quantiles on images that its fit had not seen.

    `quantiles` are (share, distance) pairs, and `images` is the number of images that they are from.
    """

    distance: Distance
    quantiles: tuple[tuple[float, float], ...]
    images: int


@dataclass(frozen=True)
class Training:
    """A finished training: everything that is needed to build, export and evaluate the model."""

    architecture: Architecture
    classes: tuple[ModelClass, ...]
    threshold: float
    learned: Learned
    #: Options, seed, versions of libraries, durations.
    record: Mapping[str, Any]
    #: Metrics on images it was not trained on, and how they were measured.
    metrics: Mapping[str, Any]
    data_digest: str
    created: str
    #: `fingerprints` of the training images; empty if the training did not record them.
    trained_on: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    #: None if the training did not measure it, or had too few images.
    familiarity: MeasuredDistance | None = None

    def network(self, weights: Mapping[str, Path] | None = None) -> Network:
        """Build the trained network; `weights` as for `network.build`.

        Raises TrainingError when a backbone has other weights than in the training.
        """
        network = build(self.architecture, len(self.classes), weights)
        known = self.record.get("backbone_weights")
        # The weights of the other backbones are installed with this package.
        given = [each.backbone for each in self.architecture.branches if backbone(each.backbone).downloads]
        if known and given and network.weights_digest() != known:
            raise TrainingError(
                f"The weights of {', '.join(given)} are not those that the training used. Give the same "
                "files with --weights."
            )
        self.learned.put_into(network)
        return network

    def save(self, folder: Path) -> None:
        """Write both files atomically; `training.json` comes last and marks the folder as complete."""
        folder.mkdir(parents=True, exist_ok=True)
        head = self.learned.head
        arrays: dict[str, NDArray[Any]] = {"head/kernel": head.kernel, "head/bias": head.bias}
        for name, delta in self.learned.deltas.items():
            arrays[f"steps/{name}"] = delta.steps
            arrays[f"sizes/{name}"] = delta.step_sizes
        if len(self.trained_on):
            arrays["trained_on"] = self.trained_on
        if self.familiarity is not None:
            arrays |= self.familiarity.distance.arrays()
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        document = {
            "schema": SCHEMA,
            "network": self.architecture.to_dict(),
            "classes": [{"name": each.name, "message": each.message} for each in self.classes],
            "threshold": self.threshold,
            "data_digest": self.data_digest,
            "created": self.created,
            "metrics": self.metrics,
            "record": self.record,
        }
        if self.familiarity is not None:
            document["familiarity"] = {
                "images": self.familiarity.images,
                "quantiles": [list(each) for each in self.familiarity.quantiles],
            }
        write_atomically(folder / LEARNED_FILE, buffer.getvalue())
        write_atomically(folder / RECORD_FILE, (json.dumps(document, indent=1) + "\n").encode())


def load(folder: Path) -> Training:
    """Read a finished training. Raises TrainingError when the folder does not hold one."""
    try:
        document = json.loads((folder / RECORD_FILE).read_bytes())
        with np.load(folder / LEARNED_FILE, allow_pickle=False) as arrays:
            stored = dict(arrays)
    except FileNotFoundError as error:
        if not folder.exists():
            raise TrainingError(f"{folder}: no such folder. Give the folder of a training.") from None
        raise TrainingError(
            f"{folder} does not hold a finished training: {Path(error.filename).name} is missing. "
            "Run `imageclassifier-training train` first."
        ) from None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise TrainingError(f"The training in {folder} is damaged: {error}. Train again.") from None
    if document.get("schema") != SCHEMA:
        raise TrainingError(
            f"{folder / RECORD_FILE} has schema {document.get('schema')!r}, but this release reads schema "
            f"{SCHEMA}. Export it with the release that trained it, or train again."
        )
    prefix = "steps/"
    deltas = {
        name.removeprefix(prefix): Delta(steps, stored[f"sizes/{name.removeprefix(prefix)}"])
        for name, steps in stored.items()
        if name.startswith(prefix)
    }
    return Training(
        architecture=Architecture.from_dict(document["network"]),
        classes=tuple(ModelClass(**each) for each in document["classes"]),
        threshold=document["threshold"],
        learned=Learned(Head(stored["head/kernel"], stored["head/bias"]), deltas),
        record=document["record"],
        metrics=document["metrics"],
        data_digest=document["data_digest"],
        created=document["created"],
        trained_on=stored.get("trained_on", np.empty(0, np.uint64)),
        familiarity=_familiarity(document.get("familiarity"), stored),
    )


def _familiarity(
    measured: Mapping[str, Any] | None, stored: Mapping[str, NDArray[Any]]
) -> MeasuredDistance | None:
    distance = Distance.from_arrays(stored)
    if measured is None or distance is None:
        return None
    quantiles = tuple((share, value) for share, value in measured["quantiles"])
    return MeasuredDistance(distance, quantiles, measured["images"])
