"""The names that a model can have, which the ImageClassifier and TensorFlow Serving use too.

Importing it does not import TensorFlow.
"""

from __future__ import annotations

import re

from ..errors import TrainingError

#: Those of `spec.model.name` in `crds/imageclassifiers.yaml`.
PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
MAX_LENGTH = 63


def check(name: str) -> None:
    """Raise TrainingError for a name that `spec.model.name` of an ImageClassifier refuses."""
    if len(name) > MAX_LENGTH or not re.fullmatch(PATTERN, name):
        raise TrainingError(
            f"{name!r} cannot be the name of a model: spec.model.name takes at most {MAX_LENGTH} letters, "
            "digits, '.', '_' and '-', and the first and the last must be a letter or a digit. "
            f"Use another name, such as {like(name)}."
        )


def like(text: str) -> str:
    """The name that is nearest to a text."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:MAX_LENGTH].rstrip("-._") or "model"
