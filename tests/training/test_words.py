"""The nouns after counts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import imageclassifier_training
from imageclassifier_training.words import counted

_ROOT = Path(imageclassifier_training.__file__).parent
#: A value and a noun in the plural, as in "{len(images)} images". Ranges and options do not count things.
_PLURAL = re.compile(
    r"\{(?!counted\()[^{}]*(?:len\(|count|total|number of)[^{}]*\} (?:[a-z]+ )?[a-z]+s\b(?! \()"
)


def test_one_is_singular_and_all_other_numbers_are_plural() -> None:
    assert [counted(count, "image") for count in (0, 1, 2, 1574)] == [
        "0 images", "1 image", "2 images", "1,574 images"
    ]  # fmt: skip
    assert [counted(count, "class", "classes") for count in (1, 2)] == ["1 class", "2 classes"]


def test_no_message_puts_a_count_before_a_fixed_plural() -> None:
    found = []
    for file in sorted(_ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr) and (match := _PLURAL.search(ast.unparse(node))):
                found.append(f"{file.relative_to(_ROOT)}:{node.lineno}: {match.group()}")
    assert found == []
