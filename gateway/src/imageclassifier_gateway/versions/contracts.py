"""Reads the contract of a version: the model's own, or the given one completed with its signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..contract import CONTRACT_SIGNATURE, Contract, completed, parse_contract
from ..contract.class_servable import CLASSES_SIGNATURE, class_servable, with_class_file
from .model_server_client import ModelServer
from .signatures import read_signatures


def read_contract(
    server: ModelServer, given: str | Mapping[str, Any] | None, *, default_name: str, timeout_seconds: float
) -> Contract:
    """The contract of a version. `given` is the one in the spec; None for a model with its own.

    Raises ModelServerError or ContractError.
    """
    if given is None:
        text = server.text(CONTRACT_SIGNATURE, timeout_seconds=timeout_seconds)
        return parse_contract(text, default_name=default_name)
    document = json.loads(given) if isinstance(given, str) else given
    if (servable := class_servable(document)) is not None:
        file = server.text(CLASSES_SIGNATURE, model=servable, timeout_seconds=timeout_seconds)
        document = with_class_file(document, file)
    known = read_signatures(server.signatures(timeout_seconds=timeout_seconds))
    contract, notes = completed(document, known)
    return replace(parse_contract(contract, default_name=default_name), notes=tuple(notes))
