"""`python3 kind/tool.py --help` and `kind/build_images.py --help`, and the message for a wrong argument."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from laptop.commands import QUESTIONS, WORK

KIND = Path(__file__).parents[2] / "kind"


def program(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, KIND / name, *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command() -> None:
    result = program("tool.py", "--help")
    assert result.returncode == 0
    described = set(re.findall(r"^  ([a-z-]+)  ", result.stdout, re.MULTILINE))
    assert set(WORK) <= described
    assert all(re.search(rf"\b{name}\b", result.stdout) for name in QUESTIONS)
    assert "example:" in result.stdout
    assert len(result.stdout.splitlines()) <= 50


def test_help_lists_every_environment_variable_that_is_read() -> None:
    shown = program("tool.py", "--help").stdout
    sources = "".join(path.read_text(encoding="utf-8") for path in (KIND / "laptop").glob("*.py"))
    read = re.findall(r'(?:environ\.get|variable|_user_directory)\("([A-Z_]+)"', sources)
    assert len(read) >= 5
    assert all(re.search(rf"^  {name} ", shown, re.MULTILINE) for name in set(read) - {"COLUMNS"})


@pytest.mark.parametrize("arguments", [("clusters",), ("cluster", "--fast"), ("cluster", "demo"), ()])
def test_a_wrong_command_is_one_line_with_exit_code_2(arguments: tuple[str, ...]) -> None:
    result = program("tool.py", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert "kind/tool.py --help" in line


@pytest.mark.parametrize("argument", ["--lode", "gateways"])
def test_an_unknown_image_or_option_is_one_line_with_exit_code_2(argument: str) -> None:
    result = program("build_images.py", argument)
    assert (result.returncode, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert argument in line
