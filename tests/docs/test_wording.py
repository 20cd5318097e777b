"""docs/check_wording.py finds phrases to avoid in prose, and in the names of tests."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WORDING: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "check_wording.py"))
AVOID = {"(?:utilise|utilises) it": "use"}


@pytest.fixture
def checked_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(WORDING["check"].__globals__, "REPOSITORY", tmp_path)
    return tmp_path


def problems(folder: Path, name: str, text: str) -> list[str]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    found: Iterator[str] = WORDING["check"](path, AVOID)
    return list(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "\nThe operator utilises it\n"),
        ("code.py", "\n# The operator utilises it\n"),
        ("code.py", '\n"""The operator utilises it."""\n'),
        ("test_code.py", "\ndef test_it_utilises_it() -> None: ...\n"),
        ("test_code.py", "\nasync def test_it_utilises_it() -> None: ...\n"),
    ],
)
def test_a_phrase_to_avoid_is_reported_with_its_line_and_better_words(
    checked_folder: Path, name: str, text: str
) -> None:
    assert problems(checked_folder, name, text) == [f"{name}:2: 'utilises it': write use"]


def test_a_phrase_across_comment_lines_is_reported(checked_folder: Path) -> None:
    assert problems(checked_folder, "code.py", "# They utilise\n# it.\n") != []


def test_names_other_than_those_of_tests_are_code(checked_folder: Path) -> None:
    assert problems(checked_folder, "code.py", "utilises_it = 1\n") == []
