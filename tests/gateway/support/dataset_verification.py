"""A verification with a data set of one-coloured pictures, run in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from fake_model import FakeModel
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.verify.progress import Progress
from imageclassifier_gateway.verify.verification import verify

MakeModel = Callable[..., FakeModel]
COLOURS = {"pizza": "#ff0000", "not_pizza": "#00ff00"}


def always(label: int) -> Callable[[np.ndarray], np.ndarray]:
    """A model that answers the same for every picture."""
    return lambda pixels: np.tile(np.eye(2)[label], (len(pixels), 1))


def plan(candidate: FakeModel, serving: FakeModel | None, dataset: dict[str, Any], **changes: Any) -> Any:
    def target(model: FakeModel) -> dict[str, Any]:
        return {"version": model.version, "target": model.target, "contract": None}

    return {
        "schema": 1,
        "model": "pizza-model",
        "candidate": target(candidate),
        "serving": None if serving is None else target(serving),
        "dataset": dataset,
        "deadline_seconds": 60,
        **changes,
    }


def run(document: dict[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    verdict = verify(document, Settings(), progress)
    return dict(json.loads(verdict.text()) | {"exit_code": verdict.exit_code})
