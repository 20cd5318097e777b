"""The signatures of a model as values, and their words in messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: The sizes of the axes, None for any size; None for any number of axes.
Shape = tuple[int | None, ...] | None


@dataclass(frozen=True)
class Tensor:
    """An input or output of a signature. `dtype` is one of DTYPES, or TensorFlow's name of another one."""

    name: str
    dtype: str
    shape: Shape = None

    def __str__(self) -> str:
        return f"'{self.name}' ({' '.join([self.dtype, shape_text(self.shape)]).strip()})"


@dataclass(frozen=True)
class Signature:
    """A function of a model. `takes_examples`: it reads serialized tf.Example records."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    takes_examples: bool = False


Signatures = Mapping[str, Signature]


def shape_text(shape: Shape) -> str:
    """A shape as text.

    >>> shape_text((None, 28, 28, 1)), shape_text((3,)), shape_text(None)
    ('(?, 28, 28, 1)', '(3)', '')
    """
    if shape is None:
        return ""
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def listed(items: Iterable[object]) -> str:
    """The items of a message.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts) or "nothing"
