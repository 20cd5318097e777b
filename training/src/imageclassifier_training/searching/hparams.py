"""Writes the trials of a search for the HParams page of TensorBoard."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api

from .levels import Level
from .space import BACKBONE, BLOCKS, FIT, RATE, VIEWS, WEIGHTS, Plan, Setting


def write_space(logs: Path, plan: Plan) -> None:
    """Write the parameters with their values, and the figures that TensorBoard shows."""
    space = plan.space
    values = {
        BACKBONE: space.backbones,
        FIT: space.fits,
        VIEWS: space.views,
        WEIGHTS: space.class_weights,
        BLOCKS: space.blocks,
        RATE: (0.0, *space.learning_rates),
    }
    with tf.summary.create_file_writer(str(logs)).as_default():
        api.hparams_config(
            hparams=[api.HParam(name, api.Discrete(list(each))) for name, each in values.items()],
            metrics=[api.Metric(name) for name in ("accuracy", "log_loss", "level")],
        )


def write_trial(logs: Path, setting: Setting, level: Level, plan: Plan) -> None:
    """Write the parameters and the figures of a trial that ended at this level."""
    parameters = {
        BACKBONE: setting.backbone,
        FIT: setting.fit,
        VIEWS: setting.views,
        WEIGHTS: setting.class_weights,
        BLOCKS: setting.blocks,
        RATE: setting.learning_rate,
    }
    writer = tf.summary.create_file_writer(str(logs))
    with writer.as_default():
        api.hparams(parameters, trial_id=setting.name)
        if level.training is not None:
            figures = level.training.metrics["cross_validation"]
            tf.summary.scalar("accuracy", figures["accuracy"], step=level.number)
            tf.summary.scalar("log_loss", figures["log_loss"], step=level.number)
        else:
            value = level.value if plan.metric == "log_loss" else 1 - level.value
            tf.summary.scalar(plan.metric, value, step=level.number)
        tf.summary.scalar("level", level.number, step=level.number)
    writer.close()
