"""Which worker of pytest-xdist runs which file next.

The tests of training share a training and an export, and those on the API server share that. Both exist once
per worker. So the first worker begins with the files of training, the second with those on the API server,
and a third one with the others. Those share nothing and are short, so the workers end together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]


class Kind(Enum):
    """What the tests of a file share. The value is the number of the worker that begins with them."""

    TENSORFLOW = 0
    APISERVER = 1
    NOTHING = 2


_TENSORFLOW = ("tests/training/", "tests/contract/model_server/", "tests/model_server/")


def kind_of(root: Path, file: str) -> Kind:
    """The kind of a file of tests, by its folder or by the marker in it."""
    if file.startswith(_TENSORFLOW):
        return Kind.TENSORFLOW
    return Kind.APISERVER if "pytest.mark.apiserver" in (root / file).read_text() else Kind.NOTHING


def next_file(waiting: Sequence[str], worker: int, kind: Callable[[str], Kind]) -> str:
    """The file that this worker runs next: one of its kind, else one of no kind, else the last one."""
    for wanted in (worker, Kind.NOTHING.value):
        if found := [file for file in waiting if kind(file).value == wanted]:
            return found[0]
    return waiting[-1]


class FileOrder(LoadFileScheduling):  # type: ignore[misc]
    """`--dist=loadfile`, with the files of each worker in the order of `next_file`."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._kind = cache(lambda file: kind_of(config.rootpath, file))

    def _assign_work_unit(self, node: Any) -> None:
        worker = int(node.gateway.id.removeprefix("gw"))
        self.workqueue.move_to_end(next_file(list(self.workqueue), worker, self._kind), last=False)
        super()._assign_work_unit(node)
