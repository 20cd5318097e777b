"""Writes the manifest of an ImageClassifier, with comments about what the user has to check."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from .looking import Look

_WIDTH = 100
_CHECK = (
    "The model cannot say how its pixels are scaled, nor whether it returns logits. If pixels were scaled "
    "outside of the model, add spec.input.preprocess or spec.input.rescaling; for logits, add "
    "spec.output.activation: docs/serve-your-model.md has the table."
)


@dataclass(frozen=True)
class Wanted:
    """What the user wants. `source`: spec.model.source."""

    name: str
    model_name: str
    version: int
    source: dict[str, Any]


def manifest(wanted: Wanted, look: Look) -> str:
    """The manifest as YAML."""
    model: dict[str, Any] = {"version": wanted.version, "source": wanted.source}
    if wanted.model_name != wanted.name:
        model = {"name": wanted.model_name, **model}
    spec: dict[str, Any] = {"model": model}
    if look.class_file is not None:
        spec["classesFrom"] = {"modelFile": {}}
    elif look.classes:
        spec["classes"] = [{"name": each} for each in look.classes]
    document = {
        "apiVersion": "imageclassifier.dev/v1alpha1",
        "kind": "ImageClassifier",
        "metadata": {"name": wanted.name},
        "spec": spec,
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "".join((*_comments(look), text))


def _comments(look: Look) -> Iterator[str]:
    if look.describes_itself:
        yield _comment("The model describes itself: its classes, its input and its output need no field.")
        return
    if not look.classes_are_known:
        yield _comment(
            "TO DO: replace the classes by their names, in the order of the model's outputs. With Keras, "
            "image_dataset_from_directory keeps them in class_names."
        )
    if look.problem:
        yield _comment(f"TO DO: {look.problem}")
    for note in look.notes:
        yield _comment(note)
    yield _comment(_CHECK)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
    return "\n".join(lines) + "\n"
