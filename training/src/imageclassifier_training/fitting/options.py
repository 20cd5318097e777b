"""The options of a training, and where it runs. Importing them does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import TrainingError
from ..judging.threshold_rule import FIXED, ThresholdRule
from ..networks.architecture import Architecture
from ..progress import Progress, no_progress


@dataclass(frozen=True)
class FineTuning:
    """Options of fine-tuning.

    The last `blocks` blocks are trained (None: all), for at most `epochs` epochs. The learning rate rises
    during the first tenth of the steps, and then falls to zero along a half cosine. The epoch with the lowest
    loss on a 10 % hold-out is kept, and training stops after `patience` epochs without improvement. With
    patience 0 there is no hold-out, and the last epoch is kept. With `mixed_precision`, the blocks compute in
    bfloat16 while they are trained; what is measured and saved computes in float32.
    """

    blocks: int | None
    epochs: int = 4
    learning_rate: float = 1e-5
    weight_decay: float = 1e-4
    patience: int = 2
    batch: int = 32
    mixed_precision: bool = False


@dataclass(frozen=True)
class Options:
    """How to train.

    `architecture` is the network, for example `Architecture.parse("efficientnet_lite1@300")`. `views` is the
    number of augmented views per image: 1 = original, 2 = plus mirrored, 3 or more = plus random crops.
    `folds` is the number of folds of the cross-validation (0: none); it is repeated `repeats` times with
    other folds. `balanced` weighs each class by the inverse of its frequency. `threshold` is fixed, or chosen
    from the out-of-fold predictions. The temperature is chosen from them if `calibrate` is true.
    """

    architecture: Architecture = field(default_factory=lambda: Architecture.parse("efficientnet_lite0"))
    views: int = 2
    balanced: bool = True
    folds: int = 5
    repeats: int = 1
    threshold: ThresholdRule = FIXED
    calibrate: bool = True
    seed: int = 0
    fine_tuning: FineTuning | None = None

    @classmethod
    def recorded(cls, architecture: Architecture, document: Mapping[str, Any]) -> Options:
        """Read the options that a training of this architecture recorded."""
        tuning = document["fine_tuning"]
        return cls(
            architecture,
            views=document["views"],
            balanced=document["balanced"],
            folds=document["folds"],
            repeats=document["repeats"],
            threshold=ThresholdRule.recorded(document["threshold"]),
            calibrate=document["calibrate"],
            seed=document["seed"],
            fine_tuning=FineTuning(**tuning) if tuning else None,
        )


def check(options: Options, classes: Sequence[str], report: Path | None = None) -> None:
    """Raise TrainingError if options do not fit together, or do not fit the classes of the images.

    `report` is the HTML file for the cross-validation.
    """
    rule = options.threshold
    if report is not None and not options.folds:
        raise TrainingError("--html reports the cross-validation: set --folds to 2 or more.")
    if rule.by != "fixed" and not options.folds:
        raise TrainingError(f"--threshold {rule} needs out-of-fold predictions: set --folds to 2 or more.")
    if rule != FIXED and len(classes) != 2:
        raise TrainingError(
            f"--threshold needs exactly two classes, but the data has {len(classes)}. Remove --threshold."
        )


@dataclass(frozen=True)
class Workspace:
    """Where a training runs: its output folder, its cache, the weights files by backbone name, its report.

    `report` is the HTML file for the cross-validation; None writes none.
    """

    out: Path
    cache: Path
    weights: Mapping[str, Path] = field(default_factory=dict)
    progress: Progress = no_progress
    report: Path | None = None
