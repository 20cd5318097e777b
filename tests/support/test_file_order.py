"""Each worker runs the files of one kind first, and files that share nothing last."""

from pathlib import Path

import pytest
from file_order import Kind, kind_of, next_file

FILES = {
    "tests/a/test_pure.py": Kind.NOTHING,
    "tests/operator/test_one.py": Kind.APISERVER,
    "tests/operator/test_two.py": Kind.APISERVER,
    "tests/training/test_a.py": Kind.TENSORFLOW,
}


@pytest.mark.parametrize(
    ("worker", "order"),
    [
        (0, ["training/test_a.py", "a/test_pure.py", "operator/test_two.py", "operator/test_one.py"]),
        (1, ["operator/test_one.py", "operator/test_two.py", "a/test_pure.py", "training/test_a.py"]),
        (2, ["a/test_pure.py", "training/test_a.py", "operator/test_two.py", "operator/test_one.py"]),
    ],
)
def test_a_worker_begins_with_its_kind_and_takes_those_of_another_worker_last(
    worker: int, order: list[str]
) -> None:
    waiting, taken = list(FILES), []
    while waiting:
        taken.append(next_file(waiting, worker, FILES.__getitem__))
        waiting.remove(taken[-1])
    assert taken == [f"tests/{each}" for each in order]


def test_the_kind_of_a_file_is_that_of_its_folder_or_of_its_marker() -> None:
    root = Path(__file__).parents[2]
    assert kind_of(root, "tests/training/test_api.py") is Kind.TENSORFLOW
    assert kind_of(root, "tests/operator/runtime/test_client.py") is Kind.APISERVER
    assert kind_of(root, "tests/operator/runtime/test_gather.py") is Kind.NOTHING
