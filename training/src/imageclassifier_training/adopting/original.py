"""A model as it came: its signatures, how it computes, and the TensorFlow function that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from imageclassifier_gateway.contract import Signature

from .scaling import Decided


@dataclass(frozen=True)
class Tensors:
    """A signature, and the names of its input for pictures and of its output with the scores."""

    signature: str
    input: str
    output: str


@dataclass(frozen=True)
class Original:
    """A loaded model.

    `compute` runs the model as it is, from the values of its input to those of its output. `graph` does the
    same for symbolic tensors. It is what will be served, so it may be an optimised copy or a conversion.
    """

    title: str
    name: str
    signatures: Mapping[str, Signature]
    compute: Callable[[Tensors, NDArray[Any]], NDArray[Any]]
    graph: Callable[[Tensors, Any], Any]
    known_scaling: Decided | None = None
    """What the library of the model says."""
    class_index: Callable[[], str] | None = None
    """Reads the text of the class file that belongs to the weights."""
    notes: tuple[str, ...] = ()
