"""The options of an adoption as values, and the messages of the contract in the words of these options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .pictures import Files
from .scaling import Scaling

#: The contract's messages name fields of the spec of an ImageClassifier.
_WORDS = (
    ("If its first output is a background class, list that one first.",
     "If its first output is a background class, add that one as the first line."),
    ("spec.classes has", "The file of --classes has"),
    ("in spec.classes, in the order", "in the file of --classes, in the order"),
    ("Set spec.input.height and spec.input.width to", "Set --size to"),
    ("set spec.input.height and spec.input.width", "set --size"),
    ("Remove spec.input.height and spec.input.width: the gateway reads them from the model.",
     "Remove --size."),
    ("but spec.input says", "but --size says"),
    (": the gateway sends PNG files of this size", ""),
    (" (the gateway then uses ", " (then it is "),
    ("a type that the gateway cannot send", "a type that pixels cannot have"),
    ("does not take pictures: the gateway sends", "does not take pictures, which are"),
    ("The gateway has a value for one only, the picture.", "Only one can be filled, with the picture."),
    ("Remove spec.input.rescaling and spec.input.preprocess.",
     "Remove --preprocess, --scale, --offset, --mean and --std."),
    ("spec.input.signature", "--signature"),
    ("spec.input.tensor", "--input-tensor"),
    ("spec.input.channels", "--channels"),
    ("spec.input.layout", "--layout"),
    ("spec.output.tensor", "--output-tensor"),
    ("spec.output.activation", "--activation"),
)  # fmt: skip


@dataclass(frozen=True)
class Adoption:
    """What the user says about a model. None is for what is to be found out.

    Attributes:
        classes: The file with the names of the classes.
        images: Images of the user, in folders by class if they are labelled.
        scaling: How pixels become values.
        size: The height and the width of the input.
        channels: The order of the colours, of `CHANNELS` of the contract.
        resize, fit: How pictures get the size of the input.
    """

    classes: Path | None = None
    images: Files | None = None
    scaling: Scaling | None = None
    size: tuple[int, int] | None = None
    channels: str | None = None
    layout: str | None = None
    resize: str = "bilinear"
    fit: str = "squash"
    signature: str | None = None
    input_tensor: str | None = None
    output_tensor: str | None = None
    activation: str | None = None
    threshold: float = 0.5

    def input_fields(self) -> dict[str, Any]:
        """The fields of a contract's input that the user gives."""
        height, width = self.size or (None, None)
        fields = {
            "height": height,
            "width": width,
            "channels": self.channels,
            "layout": self.layout,
            "resize": self.resize,
            "fit": self.fit,
            "signature": self.signature,
            "tensor": self.input_tensor,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def output_fields(self) -> dict[str, Any]:
        """The fields of a contract's output that the user gives."""
        return {} if self.output_tensor is None else {"tensor": self.output_tensor}


def in_options(message: str) -> str:
    """A message of the contract, with the options of the command in place of fields of the spec."""
    for field, option in _WORDS:
        message = message.replace(field, option)
    return message
