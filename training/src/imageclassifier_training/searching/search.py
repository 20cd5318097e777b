"""Searches settings with Optuna: TPE proposes them, and successive halving stops the bad ones early."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import optuna
import tensorflow as tf
from optuna.trial import TrialState

from ..comparing.runs import TRIALS_FOLDER
from ..errors import DataError, TrainingError, WeightsUnavailable, one_line
from ..fitting.options import Workspace
from ..pictures.dataset import Dataset
from . import hparams, journal
from .levels import Level, Levels
from .space import BACKBONE, Plan, Setting

LOGS_FOLDER = "logs"

Told = Callable[[str], None]
"""Called with a line about each trial that ends."""


class OutOfTime(Exception):  # noqa: N818
    """The time of a search is over; raised from inside of a trial, which the next search continues."""


@dataclass(frozen=True)
class Outcome:
    """How a search ended: finished and stopped trials, sentences about failed ones, and if all is done."""

    finished: int
    stopped: int
    problems: tuple[str, ...]
    exhausted: bool


class Search:
    """A search in a folder; `minutes` is the time that this call may take."""

    def __init__(
        self, dataset: Dataset, plan: Plan, workspace: Workspace, minutes: float, told: Told
    ) -> None:
        self._dataset = dataset
        self._plan = plan
        self._folder = workspace.out
        self._deadline = time.monotonic() + 60 * minutes
        self._told = told
        self._shown = workspace.progress
        self._any_finished = False
        self._levels = Levels(
            dataset, plan, self._folder / TRIALS_FOLDER, replace(workspace, progress=self._progress)
        )

    def run(self) -> Outcome:
        """Try settings until the time is over or all have been tried. At least one trial is finished."""
        logs = self._folder / LOGS_FOLDER
        # TensorFlow warns that each trial traces its functions again, which is meant to be so.
        tf.get_logger().setLevel("ERROR")
        with journal.opened(self._folder, self._plan, self._dataset.digest) as study:
            if not study.get_trials(deepcopy=False):
                for setting in self._plan.space.first():
                    journal.queue(study, setting.parameters())
                hparams.write_space(logs, self._plan)
            self._any_finished = bool(_ended(study, TrialState.COMPLETE))
            exhausted = False
            while not (self._is_late() or exhausted):
                exhausted = not self._next(study, logs)
            return Outcome(
                len(_ended(study, TrialState.COMPLETE)),
                len(_ended(study, TrialState.PRUNED)),
                tuple(_problems(study)),
                exhausted,
            )

    def _is_late(self) -> bool:
        return self._any_finished and time.monotonic() > self._deadline

    def _progress(self, step: str, done: int, total: int) -> None:
        if self._is_late():
            raise OutOfTime
        self._shown(step, done, total)

    def _next(self, study: optuna.Study, logs: Path) -> bool:
        """Run the next trial; return False when there is no setting left."""
        tried = {_setting(trial, self._plan) for trial in study.get_trials(deepcopy=False) if _counts(trial)}
        left = [each for each in self._plan.space.settings() if each not in tried]
        if not left:
            return False
        trial = study.ask()
        setting = self._plan.space.suggest(trial)
        if setting in tried:
            journal.end_without_result(study, trial, journal.REPEATED)
            chosen = left[int(np.random.default_rng([self._plan.seed, trial.number]).integers(len(left)))]
            journal.queue(study, chosen.parameters())
            return True
        try:
            self._run(study, trial, setting, logs)
        except (OutOfTime, KeyboardInterrupt) as stop:
            journal.end_without_result(study, trial, journal.STOPPED)
            journal.queue(study, setting.parameters())
            if isinstance(stop, KeyboardInterrupt):
                raise
        except (DataError, WeightsUnavailable, OSError):
            raise  # the next trial would fail too
        except Exception as error:
            # One setting that is impossible, or takes too much memory, must not end a search of hours.
            kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
            problem = kind + one_line(error)
            journal.end_without_result(study, trial, problem)
            self._told(f"trial {trial.number}, {setting.name}: failed. {problem}")
        finally:
            # Each trial builds its networks. Keras would keep those of all trials.
            keras.backend.clear_session()
            gc.collect()
        return True

    def _run(self, study: optuna.Study, trial: optuna.Trial, setting: Setting, logs: Path) -> None:
        level: Level | None = None
        for level in self._levels.run(setting):
            trial.report(level.value, journal.step(level.number))
            if level.training is None and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                self._levels.discard(setting)
                self._tell(trial, setting, level, "stopped early")
                hparams.write_trial(logs / f"trial-{trial.number}", setting, level, self._plan)
                return
        assert level is not None
        study.tell(trial, level.value)
        self._any_finished = True
        self._tell(trial, setting, level, "finished")
        hparams.write_trial(logs / f"trial-{trial.number}", setting, level, self._plan)

    def _tell(self, trial: optuna.Trial, setting: Setting, level: Level, how: str) -> None:
        figure = (
            f"log loss {level.value:.4f}"
            if self._plan.metric == "log_loss"
            else f"accuracy {100 - 100 * level.value:.2f} %"
        )
        self._told(f"trial {trial.number}, {setting.name}: {how} at level {level.number}, {figure}")


def _setting(trial: optuna.trial.FrozenTrial, plan: Plan) -> Setting | None:
    try:
        return plan.space.suggest(optuna.trial.FixedTrial(trial.params))
    except ValueError:  # killed before it had chosen all parameters
        return None


def _counts(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether the setting of a trial must not be repeated: it has a result, or a problem of its own."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or bool(journal.problem(trial))


def _ended(study: optuna.Study, state: TrialState) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[state])


def _problems(study: optuna.Study) -> list[str]:
    return [
        f"Trial {trial.number} ({trial.params.get(BACKBONE)}) failed: {problem}"
        for trial in _ended(study, TrialState.FAIL)
        if (problem := journal.problem(trial))
    ]
