"""The journal of a search: a study of Optuna in the folder of the search, which survives a kill."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from ..errors import TrainingError
from ..files import shown
from .space import Plan

JOURNAL_FILE = "journal.log"
#: Why a trial has no result, in its attributes.
PROBLEM = "problem"
STOPPED = "the search ended before the trial"
REPEATED = "tried before"
_IDENTITY = "identity"
_KILLS = "kills"
_STARTUP_TRIALS = 10
_HALVING = 3


@contextmanager
def opened(folder: Path, plan: Plan, data_digest: str) -> Iterator[optuna.Study]:
    """Open the study of the search in this folder, or begin it.

    Trials that a kill has interrupted are queued again, but not one that was killed twice: it may be the
    reason. Raises TrainingError when another process searches there, or when the folder holds a search on
    other images or with other options.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"Another search is running in {shown(folder)}. Wait for it, or give another --out."
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = _load(folder / JOURNAL_FILE, plan)
        _check(study, folder, {**plan.to_dict(), "data_digest": data_digest})
        _queue_interrupted(study)
        yield study


def _load(path: Path, plan: Plan) -> optuna.Study:
    _drop_half_line(path)
    # No other process has the folder, so a lock that is there is left from a kill.
    lock = path.with_name(path.name + ".lock")
    lock.unlink(missing_ok=True)
    backend = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
    try:
        study = optuna.create_study(
            study_name="search",
            storage=JournalStorage(backend),
            load_if_exists=True,
            direction="minimize",
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_HALVING),
        )
    except (ValueError, KeyError) as error:
        raise TrainingError(
            f"The journal {shown(path)} is damaged: {error}. Remove it: finished "
            "trials are not trained again."
        ) from None
    # A search that continues must not draw the same settings again.
    seed = plan.seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP_TRIALS)
    return study


def step(level: int) -> int:
    """The step under which Optuna's successive halving knows a level: 1, 3, 9, 27."""
    return int(_HALVING ** (level - 1))


def queue(study: optuna.Study, parameters: dict[str, Any], kills: int = 0) -> None:
    """Let the next free trial have these parameters."""
    study.enqueue_trial(parameters, user_attrs={_KILLS: kills}, skip_if_exists=False)


def problem(trial: FrozenTrial) -> str:
    """Why a trial that failed must not be repeated; empty if it may."""
    if trial.state != TrialState.FAIL:
        return ""
    if PROBLEM not in trial.user_attrs:
        return "the process was killed twice in this trial" if trial.user_attrs.get(_KILLS) else ""
    found = str(trial.user_attrs[PROBLEM])
    return "" if found in (STOPPED, REPEATED) else found


def end_without_result(study: optuna.Study, trial: optuna.Trial, problem: str) -> None:
    """End a trial without a result, and write down why."""
    trial.set_user_attr(PROBLEM, problem)
    study.tell(trial, state=TrialState.FAIL)


def _queue_interrupted(study: optuna.Study) -> None:
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.user_attrs.get(_KILLS, 0) == 0:
            queue(study, trial.params, kills=1)


def _check(study: optuna.Study, folder: Path, identity: dict[str, Any]) -> None:
    identity = json.loads(json.dumps(identity))
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_user_attr(_IDENTITY, identity)
    elif known != identity:
        changed = sorted(name for name in identity if identity[name] != known.get(name))
        what = "other images" if changed == ["data_digest"] else f"other options ({', '.join(changed)})"
        raise TrainingError(
            f"{shown(folder)} holds a search with {what}. Continue it with what it was started with, or give "
            "another --out: cached features are used there too."
        )


def _drop_half_line(path: Path) -> None:
    """Cut off a last line without its end, which a kill or a full disk has left."""
    if not path.exists():
        return
    data = path.read_bytes()
    complete = data.rfind(b"\n") + 1
    if complete < len(data):
        os.truncate(path, complete)
