"""What one pass starts from, looked up once, so that all of its steps see the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator import observe
from imageclassifier_operator.memory import Memory
from imageclassifier_operator.queue import Key
from imageclassifier_operator.spec import ImageClassifier

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """One ImageClassifier as it is, whatever its spec says; `now` is the time of the pass."""

    key: Key
    body: Json
    objects: observe.Objects
    memory: Memory
    now: float


@dataclass(frozen=True)
class View(Found):
    """The same with a spec that can be acted on."""

    ic: ImageClassifier
