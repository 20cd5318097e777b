"""Matches the tensors of a predict request with the inputs and outputs of a signature.

Checks and messages follow predict_util.cc.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from .status import invalid_argument
from .tensors import Array, TensorParseError, decode


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def predict_inputs(signature: Any, inputs: Any) -> dict[str, Array]:
    """The arrays to feed, by tensor name; inputs left out take the signature's defaults."""
    sent, wanted = set(inputs), set(signature.inputs)
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({_set(sent)}) != "
            f"len({_set(wanted)}). Sent extra: {_set(sent - wanted)}. "
            f"Missing but required: {_set(wanted - sent)}."
        )
    arrays = {}
    for alias, proto in inputs.items():
        if alias not in wanted:
            raise invalid_argument(
                f"input tensor alias not found in signature: {alias}. Inputs expected to be in the set "
                f"{_set(wanted)}."
            )
        arrays[signature.inputs[alias].name] = _decode(alias, proto)
    for alias in wanted - sent:
        if alias not in signature.defaults:
            raise invalid_argument(f"Missing required input: {alias}")
        arrays[signature.inputs[alias].name] = _decode(alias, signature.defaults[alias])
    return arrays


def _decode(alias: str, proto: Any) -> Array:
    try:
        return decode(proto)
    except TensorParseError as error:
        raise invalid_argument(f"tensor parsing error: {alias} ({error})") from error


def predict_outputs(signature: Any, output_filter: Sequence[str]) -> dict[str, str]:
    """The outputs to fetch, alias -> tensor name."""
    if not output_filter:
        return {alias: info.name for alias, info in signature.outputs.items()}
    chosen: dict[str, str] = {}
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}."
            )
        if alias in chosen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        chosen[alias] = signature.outputs[alias].name
    return chosen
