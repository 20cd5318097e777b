"""Looks at a SavedModel without TensorFlow: whether it describes itself, and what the spec has to add."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from imageclassifier_gateway.contract import CONTRACT_SIGNATURE, ContractError, Signature, completed
from imageclassifier_gateway.contract.class_list import classes_in
from imageclassifier_gateway.model_files.class_file import read_class_file
from imageclassifier_gateway.model_files.refusal import FilesRefusedError
from imageclassifier_gateway.versions import tfserving_pb2 as pb
from imageclassifier_gateway.versions.signatures import read_signatures

from ..errors import ClientError

_MOST_CLASSES = 5000
"""More do not fit into spec.classes."""


@dataclass(frozen=True)
class Look:
    """What the spec needs for a model. `problem`: what the model leaves open, with the field to set."""

    describes_itself: bool = False
    class_file: str | None = None
    classes: tuple[str, ...] = ()
    classes_are_known: bool = True
    notes: tuple[str, ...] = ()
    problem: str = ""


def look_at(directory: Path, classes: tuple[str, ...] = ()) -> Look:
    """Look at the version in `directory`. `classes`: their names, if the user has given them."""
    signatures = _signatures(directory)
    if CONTRACT_SIGNATURE in signatures:
        return Look(describes_itself=True)
    if classes:
        return _completed(signatures, [{"name": each} for each in classes], Look(classes=classes))
    try:
        name, text = read_class_file(directory, None)
    except FilesRefusedError:
        return _without_class_file(signatures)
    return _completed(signatures, {"file": f"{name} of the model", "text": text}, Look(class_file=name))


def class_names(file: Path) -> tuple[str, ...]:
    """The names in a file with classes, in any of the forms that spec.classesFrom takes."""
    try:
        return tuple(each["name"] for each in classes_in(file.read_text("utf-8-sig"), str(file)))
    except OSError as error:
        raise ClientError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ClientError(f"{file} is not text in UTF-8. Convert it.") from None
    except ContractError as error:
        raise ClientError(str(error)) from None


def _signatures(directory: Path) -> dict[str, Signature]:
    file = directory / "saved_model.pb"
    try:
        model = pb.SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise ClientError(
            f"{directory} has no saved_model.pb; other forms of a SavedModel are not read."
        ) from None
    except (OSError, DecodeError) as error:
        raise ClientError(
            f"{file} cannot be read as a SavedModel: {error}. Export the model again."
        ) from None
    served = [graph for graph in model.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not served:
        raise ClientError(
            f"{file} has no graph with the tag serve, so no model server can load it. Export it again."
        )
    return read_signatures(served[0])


def _without_class_file(signatures: Mapping[str, Signature]) -> Look:
    """The look at a model whose classes are not known: as many as one of its outputs has values."""
    look = Look(classes_are_known=False, problem="The model has no output with a fixed number of values.")
    for number in sorted(_numbers_of_classes(signatures), reverse=True):
        names = tuple(f"class-{index}" for index in range(number))
        given = [{"name": each} for each in names]
        look = _completed(signatures, given, Look(classes=names, classes_are_known=False))
        if not look.problem:
            break
    return look


def _numbers_of_classes(signatures: Mapping[str, Signature]) -> Iterator[int]:
    found = {
        math.prod(size for size in output.shape[1:] if size is not None)
        for signature in signatures.values()
        for output in signature.outputs
        if output.shape and None not in output.shape[1:]
    }
    # One value is the probability of the second of two classes.
    yield from {max(2, number) for number in found if number <= _MOST_CLASSES}


def _completed(signatures: Mapping[str, Signature], classes: Any, look: Look) -> Look:
    """The look, with notes on what the gateway adds to these classes, or with the problem."""
    try:
        _, notes = completed({"classes": classes}, signatures)
    except ContractError as error:
        return replace(look, problem=str(error))
    return replace(look, notes=tuple(notes))
