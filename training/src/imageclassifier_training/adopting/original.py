"""A model as it came: its signatures, how it computes, and the TensorFlow function that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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

    `call` runs the model as it is, from the tensor of its input to that of its output. `graph` does the same
    with what will be served, which may be an optimised copy or a conversion. It takes symbolic tensors too.
    """

    title: str
    name: str
    signatures: Mapping[str, Signature]
    call: Callable[[Tensors, Any], Any]
    graph: Callable[[Tensors, Any], Any]
    known_scaling: Decided | None = None
    """What the library of the model says."""
    class_index: Callable[[], str] | None = None
    """Reads the text of the class file that belongs to the weights."""
    notes: tuple[str, ...] = ()
