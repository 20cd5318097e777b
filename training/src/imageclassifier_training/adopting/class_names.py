"""The names of the classes of an adopted model: from a file, its library, or the folders of the images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from imageclassifier_gateway.contract import FLOAT_DTYPES, ContractError, classes_in

from ..errors import TrainingError
from ..files import shown
from .options import Adoption
from .original import Original


def find_classes(original: Original, wanted: Adoption) -> tuple[Any, list[str]]:
    """The classes as a contract has them, and how they were found if they were not given."""
    if wanted.classes is not None:
        return {"file": shown(wanted.classes), "text": read_classes(wanted.classes)}, []
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
        listed = ", ".join(folders[:8]) + (" and so on" if len(folders) > 8 else "")
        why = f"Classes: {listed}, the folders of {shown(wanted.images.source)} in the order of Keras."
        return [{"name": each} for each in folders], [why]
    how_many = " or ".join(map(str, sorted(counts))) or "an unknown number of"
    raise TrainingError(
        f"The names of the classes are not known; {original.title} has {how_many} classes. List them, in the "
        "order of the outputs, in a text or JSON file, and pass it with --classes FILE."
    )


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
