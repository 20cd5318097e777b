"""What one pass starts from, looked up once, so that all of its steps see the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.runtime.work_queue import Key

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """One ImageClassifier as it is, whatever its spec says; `now` is the time of the pass."""

    key: Key
    body: Json
    objects: Objects
    memory: Memory
    now: float


@dataclass(frozen=True)
class View(Found):
    """The same with a spec that can be acted on."""

    ic: ImageClassifier
