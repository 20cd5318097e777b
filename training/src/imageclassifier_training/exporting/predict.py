"""Classifies image files with an exported model, as the gateway does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from imageclassifier_gateway.contract import Decision
from imageclassifier_gateway.pixels.images import PictureError, prepare

from .saved_model import ServedModel


def predict(model: ServedModel, pictures: Iterable[Path]) -> Iterator[tuple[Path, Decision | str]]:
    """Yield the decision for each image, or a sentence that says why it could not be read."""
    for path in pictures:
        try:
            pixels = prepare(path.read_bytes(), model.contract.input)
        except PictureError as error:
            yield path, str(error)
        except OSError as error:
            yield path, f"the file cannot be read ({error.strerror})."
        else:
            yield path, model.decisions(pixels[None])[0]
