"""Finds and reads the file with the classes in the directory of a version."""

from __future__ import annotations

from pathlib import Path

from ..contract.checks import ContractError
from ..contract.class_list import MAX_TEXT_BYTES, classes_in
from .listing import listing, shown_path
from .refusal import FilesRefusedError

#: Where exporters put class files, and what they call them; compared without regard to case.
FOLDERS = ("assets.extra", "assets", ".")
NAMES = (
    "labels.txt", "labels.json", "classes.txt", "classes.json", "class_names.txt", "class_names.json",
    "class_indices.json", "imagenet_class_index.json", "imagenetlabels.txt", "imagenet_classes.txt",
    "id2label.json", "synset_words.txt", "synsets.txt",
)  # fmt: skip
_FIELD = "spec.classesFrom.modelFile.path"


def read_class_file(directory: Path, path: str | None) -> tuple[str, str]:
    """The path of the class file of a version, relative to its directory, and its text.

    `path`: the file in the spec; None to look for one with a usual name. Raises FilesRefusedError.
    """
    file = _file_with_usual_name(directory) if path is None else _file_in_spec(directory, path)
    name = shown_path(file.relative_to(directory))
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise FilesRefusedError(
            f"{name}, the class file of the model, cannot be read: {error.strerror}. Make it readable by any "
            "user."
        ) from None
    if len(content) > MAX_TEXT_BYTES:
        raise FilesRefusedError(
            f"{name} has more than {MAX_TEXT_BYTES:,} bytes, so it is no list of classes. Correct {_FIELD}."
        )
    try:
        text = content.decode("utf-8-sig")
        classes_in(text, f"{name} of the model")
    except UnicodeDecodeError:
        raise FilesRefusedError(
            f"{name}, the class file of the model, is not text in UTF-8. Convert it to UTF-8, under a new "
            "version number."
        ) from None
    except ContractError as error:
        raise FilesRefusedError(str(error)) from None
    return name, text


def _file_in_spec(directory: Path, path: str) -> Path:
    file = directory / path
    if not file.is_file():
        raise FilesRefusedError(
            f"The model has no file {shown_path(Path(path))}. Its directory contains {listing(directory)}. "
            f"Correct {_FIELD}."
        )
    return file


def _file_with_usual_name(directory: Path) -> Path:
    found = [
        entry
        for folder in FOLDERS
        if (directory / folder).is_dir()
        for entry in sorted((directory / folder).iterdir())
        if entry.name.lower() in NAMES and entry.is_file()
    ]
    if not found:
        raise FilesRefusedError(
            "The model has no class file with a usual name, such as assets.extra/labels.txt. Its directory "
            f"contains {listing(directory)}. Set {_FIELD} to the file with the classes, add one under a new "
            "version number, or list the classes in spec.classes."
        )
    if len(found) > 1:
        files = ", ".join(shown_path(each.relative_to(directory)) for each in found[:5])
        raise FilesRefusedError(
            f"The model has {len(found)} files that may contain its classes: {files}. Set {_FIELD} to the "
            "one in the order of the outputs."
        )
    return found[0]
