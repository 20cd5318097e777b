"""The architecture page names only functions, classes and files that exist."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = [
    REPOSITORY / name / "src" / f"imageclassifier_{name}"
    for name in ("operator", "gateway", "training", "client")
]
#: Sections that follow calls through the code. Their other words in code style are no Python names.
WALKS = {
    "One picture's bytes": {"curl --data-binary @pizza.jpg http://gateway/predict", "/predict"},
    "A version bump": {"spec.model.version", "keepPreviousSeconds"},
}


def section(title: str) -> str:
    return re.split(r"^#{2,3} ", PAGE.split(f"### {title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def code_words(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def starting_points() -> list[str]:
    """The last column of the tables of folders."""
    tables = re.findall(r"^\| folder[^\n]*where to start \|\n((?:\|[^\n]*\n)+)", PAGE, re.MULTILINE)
    assert len(tables) == 3
    return [word for table in tables for row in table.splitlines() for word in code_words(row.split("|")[3])]


def defined(module: Path) -> set[str]:
    """The names that a module defines or re-exports, alone and with their class and module."""
    names: set[str] = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
                names |= {name, *(each.name for each in body if isinstance(each, ast.FunctionDef))}
            case ast.ClassDef(name=name):
                names.add(name)
                names |= {f"{name}.{member}" for member in members(node)}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom() if module.name == "__init__.py":
                names |= {alias.asname or alias.name for alias in node.names}
    home = module.parent.name if module.name == "__init__.py" else module.stem
    return names | {f"{home}.{name}" for name in names} | {home}


def members(node: ast.ClassDef) -> set[str]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in node.body if isinstance(each, functions)}


NAMES = set().union(*(defined(module) for package in PACKAGES for module in package.rglob("*.py")))


def exists(word: str) -> bool:
    if word.endswith(".py"):
        return any((package / word).is_file() for package in PACKAGES)
    return word in NAMES


@pytest.mark.parametrize("title", WALKS)
def test_each_name_in_a_walk_through_the_code_exists(title: str) -> None:
    words = [word for word in code_words(section(title)) if word not in WALKS[title]]
    assert len(words) > 15
    assert [word for word in words if not exists(word)] == []


def test_each_starting_point_exists() -> None:
    words = starting_points()
    assert len(words) > 15
    assert [word for word in words if not exists(word)] == []


def test_each_python_file_on_the_page_exists() -> None:
    files = [word for word in code_words(PAGE) if re.fullmatch(r"[\w/]+\.py", word)]
    missing = [file for file in files if not exists(file) and not (REPOSITORY / file).is_file()]
    assert [file for file in missing if not any(list(package.rglob(file)) for package in PACKAGES)] == []
