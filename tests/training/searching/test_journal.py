"""The journal of a search survives a kill, and belongs to one search at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from imageclassifier_training.errors import TrainingError
from imageclassifier_training.searching import journal
from imageclassifier_training.searching.space import Plan, Space

PLAN = Plan(Space(("efficientnet_lite0@64",)))


def test_a_line_that_a_kill_cut_off_loses_nothing_else(tmp_path: Path) -> None:
    with journal.opened(tmp_path, PLAN, "sha256:1") as study:
        study.tell(study.ask(), 0.5)
    path = tmp_path / journal.JOURNAL_FILE
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "work')
    (tmp_path / "journal.log.lock").touch()  # Optuna's lock, left behind too
    for trials in (1, 2):
        with journal.opened(tmp_path, PLAN, "sha256:1") as study:
            assert len(study.get_trials(states=[TrialState.COMPLETE])) == trials
            study.tell(study.ask(), 0.5)


def test_an_interrupted_trial_is_queued_again_with_its_parameters(tmp_path: Path) -> None:
    with journal.opened(tmp_path, PLAN, "sha256:1") as study:
        setting = PLAN.space.suggest(study.ask())  # and the process is killed
    with journal.opened(tmp_path, PLAN, "sha256:1") as study:
        assert PLAN.space.suggest(study.ask()) == setting


def test_a_trial_that_was_killed_twice_is_not_queued_a_third_time(tmp_path: Path) -> None:
    for _ in range(2):
        with journal.opened(tmp_path, PLAN, "sha256:1") as study:
            PLAN.space.suggest(study.ask())
    with journal.opened(tmp_path, PLAN, "sha256:1") as study:
        assert not study.get_trials(states=[TrialState.WAITING])
        problems = [journal.problem(trial) for trial in study.get_trials()]
        assert problems == ["", "the process was killed twice in this trial"]


def test_two_searches_cannot_use_one_folder_at_once(tmp_path: Path) -> None:
    with (
        journal.opened(tmp_path, PLAN, "sha256:1"),
        pytest.raises(TrainingError, match="Another search is running"),
        journal.opened(tmp_path, PLAN, "sha256:1"),
    ):
        pass


@pytest.mark.parametrize(
    ("plan", "digest", "sentence"),
    [
        (PLAN, "sha256:2", "a search with other images"),
        (replace(PLAN, folds=3), "sha256:1", r"other options \(folds\)"),
        (Plan(Space(("vgg16@64",))), "sha256:1", r"other options \(space\)"),
    ],
)
def test_a_search_is_not_continued_with_other_images_or_options(
    plan: Plan, digest: str, sentence: str, tmp_path: Path
) -> None:
    with journal.opened(tmp_path, PLAN, "sha256:1"):
        pass
    with pytest.raises(TrainingError, match=sentence), journal.opened(tmp_path, plan, digest):
        pass


def test_a_damaged_journal_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / journal.JOURNAL_FILE).write_text("not a journal\nat all\n")
    with (
        pytest.raises(TrainingError, match=r"is damaged: .* Remove it"),
        journal.opened(tmp_path, PLAN, "sha256:1"),
    ):
        pass
