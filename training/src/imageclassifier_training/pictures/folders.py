"""Lists the images of a folder: one subfolder per class, or splits that each have one subfolder per class."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..files import shown
from ..words import counted
from . import labels_file
from .listing import (
    Listing,
    Sources,
    children,
    class_name,
    files_below,
    names,
    split_of,
    unusable_class_name,
)

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}


def find(source: Path) -> Sources:
    """List the images of a folder or of a CSV file, without opening any.

    Raises DataError when the source has no layout that can be read, with a sentence that says what to give.
    """
    try:
        if source.is_file():
            return labels_file.find(source)
        if not source.is_dir():
            raise DataError(
                [
                    f"{shown(source)} is not a folder or a file. Give a folder with one subfolder of images "
                    "per class, or a CSV file of paths and labels."
                ]
            )
        return _find(source)
    except OSError as error:
        raise DataError([f"{shown(source)}: it cannot be read ({error.strerror})."]) from None


def _find(source: Path) -> Sources:
    folders, files, litter = children(source)
    splits = {each: role for each in folders if (role := split_of(each.name))}
    with_classes = [each for each in splits if children(each)[0]]
    if with_classes:
        return _splits(source, folders, splits, litter)
    if len(splits) > 1 and len(splits) == len(folders) and "training" in splits.values():
        raise DataError(
            [
                f"{shown(source)}: {names(splits)} look like splits, but they have no class folders. Put the "
                "images of each class into a subfolder, or give a CSV file of paths and labels."
            ]
        )
    if len(folders) < 2:
        raise DataError([_too_few(source, folders, files)])
    return Sources(_classes(source, folders, litter))


def _splits(source: Path, folders: list[Path], splits: dict[Path, str], litter: list[str]) -> Sources:
    by_role: dict[str, list[Path]] = {}
    for folder, role in splits.items():
        by_role.setdefault(role, []).append(folder)
    first = shown(next(iter(splits)))
    advice = f"Give the splits one by one, for example: train {first} --validation OTHER_FOLDER"
    if others := [each for each in folders if each not in splits]:
        raise DataError(
            [
                f"{shown(source)}: {names(splits)} look like splits, but {names(others)} beside them "
                f"{'does' if len(others) == 1 else 'do'} not. {advice}"
            ]
        )
    if doubled := [each for each in by_role.values() if len(each) > 1]:
        kind = split_of(doubled[0][0].name)
        raise DataError([f"{shown(source)}: {names(doubled[0])} are both a {kind} split. {advice}"])
    if "training" not in by_role:
        raise DataError(
            [
                f"{shown(source)} has the splits {names(splits)}, but no folder 'train'. To use one of them "
                f"alone, give its folder: {shown(next(iter(splits)))}"
            ]
        )
    found = {}
    for role, (folder,) in by_role.items():
        class_folders, files, skipped = children(folder)
        if len(class_folders) < (2 if role == "training" else 1):
            raise DataError([_too_few(folder, class_folders, files)])
        found[role] = _classes(folder, class_folders, skipped + (litter if role == "training" else []))
    return Sources(found["training"], found.get("validation"), found.get("test"))


def _classes(source: Path, folders: list[Path], litter: list[str]) -> Listing:
    problems: list[str] = []
    files: list[tuple[Path, str]] = []
    skipped = list(litter)
    by_name: dict[str, Path] = {}
    for folder in folders:
        name = class_name(folder.name)
        if why := unusable_class_name(name):
            problems.append(f"{shown(folder)}: {why}. Rename the folder.")
            continue
        if (other := by_name.setdefault(name, folder)) != folder:
            problems.append(f"{shown(folder)}: the name is the same as that of {shown(other)}. Rename one.")
            continue
        if inside := _splits_inside(folder):
            problems.append(
                f"{shown(folder)}: the class holds splits ({names(inside)}). Move them up, so that "
                f"{shown(source)} holds {names(inside)} and each of them the classes."
            )
            continue
        here, wrong, more = files_below(folder)
        skipped += more
        problems += wrong
        files += [(path, name) for path in here]
        if not here:
            problems.append(f"{shown(folder)}: the class has no images. Add images, or remove the folder.")
    return Listing(source, tuple(sorted(by_name)), tuple(files), tuple(problems), tuple(skipped))


def _splits_inside(folder: Path) -> list[Path]:
    below, files, _ = children(folder)
    roles = [split_of(each.name) for each in below]
    return below if len(below) > 1 and all(roles) and "training" in roles and not files else []


def _too_few(source: Path, folders: list[Path], files: list[Path]) -> str:
    found = f"{shown(source)} has {counted(len(folders), 'class folder')} ({names(folders) or 'none'})."
    if len(folders) == 1 and len(children(folders[0])[0]) > 1:
        return f"{found} Its only folder holds more folders: did you mean {shown(folders[0])}?"
    if tables := [each for each in files if each.suffix.casefold() in (".csv", ".tsv")]:
        return (
            f"{found} It also holds {shown(tables[0].name)}: if that file has the labels, give it instead of "
            f"the folder: {shown(tables[0])}"
        )
    if images := [each for each in files if each.suffix.casefold() in _EXTENSIONS]:
        return (
            f"{found} It holds {counted(len(images), 'image file that belongs', 'image files that belong')} "
            "to no class. Put the images of each class into a subfolder, or give a CSV file of paths and "
            "labels."
        )
    return f"{found} A classifier needs at least two: add a subfolder of images for each class."
