"""The names of the classes of an adopted model: from a file, its library, or the folders of the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imageclassifier_gateway.contract import FLOAT_DTYPES, ContractError, classes_in

from ..errors import TrainingError
from ..files import shown
from ..words import counted
from .options import Adoption
from .original import Original


def find_classes(original: Original, wanted: Adoption) -> tuple[Any, list[str]]:
    """The classes as a contract has them, and how they were found if they were not given."""
    if wanted.classes is not None:
        text, file = read_classes(wanted.classes), shown(wanted.classes)
        names = [str(each["name"]) for each in classes_in(text, file)]
        return {"file": file, "text": text}, [f"Classes: {_listed(names)}, as in {file}."]
    if original.class_index is not None:
        return {"file": "imagenet_class_index.json", "text": original.class_index()}, []
    # A single value is the probability of the second of two classes.
    counts = {
        max(2, math.prod(size for size in output.shape[1:] if size is not None))
        for signature in original.signatures.values()
        for output in signature.outputs
        if wanted.output_tensor in (None, output.name) and output.shape and output.dtype in FLOAT_DTYPES
    }
    if wanted.images is not None and len(wanted.images.class_folders) in counts:
        folders = wanted.images.class_folders
        source = shown(wanted.images.source)
        why = f"Classes: {_listed(folders)}, the folders of {source} in the order of Keras."
        return [{"name": each} for each in folders], [why]
    how_many = " or ".join(map(str, sorted(counts))) or "an unknown number of"
    found = ""
    if wanted.images is not None and (folders := wanted.images.class_folders):
        found = (
            f" {shown(wanted.images.source)} has {counted(len(folders), 'folder')} with images: "
            f"{_listed(folders)}."
        )
    raise TrainingError(
        f"The names of the classes are not known; {original.title} has {how_many} classes.{found} List the "
        "classes, in the order of the outputs, in a text or JSON file, and pass it with --classes FILE."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (" and so on" if len(names) > 8 else "")


def read_classes(file: Path) -> str:
    """The text of a class file that is valid. Raises TrainingError."""
    try:
        text = file.read_text("utf-8-sig")
        classes_in(text, shown(file))
    except UnicodeDecodeError:
        raise TrainingError(f"{shown(file)} is not text in UTF-8. Convert it.") from None
    except ContractError as error:
        raise TrainingError(str(error)) from None
    return text


def class_count(file: Path) -> int:
    """The number of classes in a class file. Raises TrainingError."""
    return len(classes_in(read_classes(file), shown(file)))
