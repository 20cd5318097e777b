#!/usr/bin/env python3
"""Finds phrases that our texts avoid (docs/wording.toml), and names the file, the line and better words."""

from __future__ import annotations

import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
RULES = REPOSITORY / "docs" / "wording.toml"


def main() -> int:
    """Check all files; returns 1 when a phrase was found."""
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    found = [line for path in files(rules) for line in check(path, rules["avoid"])]
    print("\n".join(found) or "No phrase to avoid was found.")
    return 1 if found else 0


def files(rules: dict[str, Any]) -> list[Path]:
    """The files to check: all that match `files`, without those in `not_yet`."""
    excluded = [REPOSITORY / name for name in rules["not_yet"]]
    matching = {path for pattern in rules["files"] for path in REPOSITORY.glob(pattern) if path.is_file()}
    return sorted(path for path in matching if not any(path.is_relative_to(each) for each in excluded))


def check(path: Path, avoid: dict[str, str]) -> Iterator[str]:
    """Yield one line for each phrase that the file should not contain."""
    try:
        source = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # not a text
    name = path.relative_to(REPOSITORY)
    for first_line, text in prose(path, source):
        for phrase, instead in avoid.items():
            # A line break and its indentation count as one space.
            pattern = r"\b(?:" + phrase.replace(" ", r"[\s#*]+") + r")\b"
            for match in re.finditer(pattern, text, re.IGNORECASE):
                line = first_line + text.count("\n", 0, match.start())
                yield f"{name}:{line}: '{' '.join(match.group().split())}': write {instead}"


def prose(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file with their first lines: of Python, strings, comments and names of tests."""
    if path.suffix != ".py":
        yield 1, source
        return
    comment_lines: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING:
            yield token.start[0], token.string
        elif token.type == tokenize.NAME and token.string.startswith("test_"):
            yield token.start[0], token.string.replace("_", " ")
        elif token.type == tokenize.COMMENT:
            comment_lines[token.start[0]] = token.string
    # Consecutive comment lines are one text.
    for line, text in comment_lines.items():
        if line - 1 not in comment_lines:
            following = [text]
            while line + len(following) in comment_lines:
                following.append(comment_lines[line + len(following)])
            yield line, "\n".join(following)


if __name__ == "__main__":
    sys.exit(main())
