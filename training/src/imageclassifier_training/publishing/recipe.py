"""Writes the command that repeats a training, from the options that the training recorded."""

from __future__ import annotations

import shlex
from typing import Any

from ..judging.threshold_rule import ThresholdRule
from ..networks.architecture import Architecture, Branch
from ..networks.learned import Training


def train_command(training: Training) -> str:
    """The command line; DATA and RUN stand for the images and for the folder of the result."""
    options = training.record["options"]
    words = ["imageclassifier-training", "train", "DATA", "--out", "RUN"]
    words += _network(training.architecture)
    words += ["--views", str(options["views"])]
    words += [] if options["balanced"] else ["--no-class-weights"]
    words += ["--folds", str(options["folds"]), "--repeats", str(options["repeats"])]
    # Trainings of releases without calibration did not record the option.
    words += [] if options.get("calibrate", True) else ["--no-calibration"]
    if len(training.classes) == 2:
        words += ["--threshold", ThresholdRule.recorded(options["threshold"]).argument]
    words += ["--seed", str(options["seed"])]
    words += _fine_tuning(options.get("fine_tuning"))
    for each in training.classes:
        if each.message != each.name:
            words += ["--message", f"{each.name}={each.message}"]
    return shlex.join(words)


def _network(architecture: Architecture) -> list[str]:
    words = []
    for branch in architecture.branches:
        words += ["--backbone", str(Branch(branch.backbone, branch.height, branch.width))]
    words += ["--resize", architecture.resize, "--fit", architecture.fit]
    decode = architecture.decode
    return [*words, "--decode-margin", f"{decode.margin:g}", "--colour-profile", decode.profile]


def _fine_tuning(tuning: Any) -> list[str]:
    if not tuning:
        return []
    return [
        "--fine-tune", "all" if tuning["blocks"] is None else str(tuning["blocks"]),
        "--epochs", str(tuning["epochs"]),
        "--learning-rate", f"{tuning['learning_rate']:g}",
        "--patience", str(tuning["patience"]),
        *(["--mixed-precision"] if tuning.get("mixed_precision") else []),
    ]  # fmt: skip
