"""What most tests of the gateway need: pictures, routing files, and waiting for a condition."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from fake_model import FakeModel


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file in one step, as the kubelet does."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(text)
    scratch.replace(path)


def picture(colour: str = "red", size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    """A picture of one colour, encoded."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def routing_document(
    model: str, targets: dict[int, str], *, contract: dict[str, Any] | None = None, serving: int = 1
) -> str:
    """A routing file that gives everything to one version of a model, wherever its servers are."""
    versions: list[dict[str, Any]] = [
        {"version": version, "target": target, "percent": 100 if version == serving else 0}
        for version, target in targets.items()
    ]
    if contract is not None:
        for version in versions:
            version["contract"] = contract
    return json.dumps({"schema": 1, "revision": 1, "model": model, "serving": serving, "versions": versions})


def routing(*models: FakeModel, percents: tuple[int, ...] = (100,), revision: int = 1, **more: Any) -> str:
    """A routing file for these models; the first one serves."""
    versions = [
        {"version": model.version, "target": model.target, "percent": percent}
        for model, percent in zip(models, percents, strict=True)
    ]
    document = {"schema": 1, "revision": revision, "model": "pizza-model", "serving": models[0].version}
    return json.dumps({**document, "versions": versions, **more})


def eventually(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Waits until a condition holds and returns its value; fails with a sentence when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")
