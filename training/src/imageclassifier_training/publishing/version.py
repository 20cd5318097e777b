"""The version of a model that a release makes. Importing it does not import TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..exporting import model_name

#: The formats beside the SavedModel.
FORMATS = ("tflite", "tflite-int8", "onnx")


@dataclass(frozen=True)
class Version:
    """A version of a model, as `<out>/<name>/<number>/`. Raises TrainingError for a name that cannot serve.

    Attributes:
        name: The name of the model.
        number: Its version. None is the one after the highest version of the model in `out`.
        out: The folder of the models.
        replace: Whether an existing version is replaced.
        weights: A file or folder with the weights of backbones that are not installed with this package.
        formats: Other formats to write, of `FORMATS`.
        pictures: Where the training images for these formats are (default: where they were at the training).
    """

    name: str
    number: int | None = None
    out: Path | str = "models"
    replace: bool = False
    weights: Path | str | None = None
    formats: tuple[str, ...] = ()
    pictures: Path | str | None = None

    def __post_init__(self) -> None:
        model_name.check(self.name)
