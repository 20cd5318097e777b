"""Each reason of a condition is provoked by a test with a real API server, on bare nodes or on Kind."""

import ast
from collections.abc import Iterator
from pathlib import Path

from imageclassifier_operator.api.reasons import Reason

TESTS = Path(__file__).parents[2]
FOLDERS = (TESTS / "operator/on_apiserver", TESTS / "cluster")


def named_reasons(tree: ast.AST) -> Iterator[str]:
    """The reasons that the code of a test names, by their word or by their constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.Attribute) and node.attr in Reason.__members__:
            yield Reason[node.attr].value


def test_each_reason_is_provoked_on_a_real_api_server() -> None:
    named = {
        reason
        for folder in FOLDERS
        for file in folder.glob("test_*.py")
        for reason in named_reasons(ast.parse(file.read_text("utf-8")))
    }
    assert set(Reason) <= named, f"no test provokes {sorted(set(Reason) - named)}"
