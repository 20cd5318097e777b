"""The generated documentation is current."""

import runpy
from pathlib import Path

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.rollout.state import Phase
from imageclassifier_operator.status.kstatus import KSTATUS_CONDITIONS
from imageclassifier_operator.status.phase_table import CONDITIONS

DOCS = Path(__file__).parents[2] / "docs"


def test_it_is_current() -> None:
    made = runpy.run_path(str(DOCS / "make_reference.py"))["reference"]()
    assert made == (DOCS / "reference.md").read_text(encoding="utf-8"), "run `make reference`"


def test_it_names_every_reason_condition_and_phase() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    for word in (*Reason, *CONDITIONS, *KSTATUS_CONDITIONS, *Phase):
        assert f"| `{word}` |" in text, word


def test_the_rollouts_diagram_is_that_of_the_code() -> None:
    page = (DOCS / "rollouts.md").read_text(encoding="utf-8")
    assert runpy.run_path(str(DOCS / "make_rollouts.py"))["rollouts"](page) == page, "run `make reference`"


def test_the_picture_of_the_operators_folders_is_that_of_the_imports() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(DOCS / "make_architecture.py"))["architecture"](page)
    assert made == page, "run `make reference`"
