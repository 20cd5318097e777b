"""Reads data sets: opens every file, and reports everything that is wrong with all of them at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import PictureError, prepare

from ..errors import BrokenImages, DataError
from ..files import shown
from ..progress import Progress, no_progress
from ..words import counted
from . import litter, near_duplicates
from .dataset import LIMITS, Broken, Dataset, Picture
from .folders import find
from .listing import Listing
from .lists import Exclusions

#: The check decodes each file; a small size saves most of the time.
_CHECKED_INPUT = ModelInput(height=near_duplicates.SIDE, width=near_duplicates.SIDE)


@dataclass(frozen=True)
class Reading:
    """How to read: files to leave out, and whether unusable files are skipped or are an error.

    With `lenient`, every other problem becomes a note too.
    """

    skip_broken: bool = False
    lenient: bool = False
    excluded: Exclusions = field(default=Exclusions())


DEFAULT_READING = Reading()


def read(source: Path, reading: Reading = DEFAULT_READING, progress: Progress = no_progress) -> Dataset:
    """Read one data set, from a folder with one subfolder per class or from a CSV file, and check every file.

    The classes are sorted by name. Raises DataError with one line per problem: the source is missing or holds
    splits, there are fewer than two classes, a class is empty, a file is not an image or is damaged, or two
    classes hold the same image.
    """
    sources = find(source)
    if sources.has_splits:
        raise DataError(
            [
                f"{shown(source)} is divided into splits ({', '.join(sources.all())}). Give one of them, or "
                "read all with `read_all(find(source).all())`."
            ]
        )
    return read_all({"": sources.training}, reading, progress)[""]


def read_all(
    listings: Mapping[str, Listing],
    reading: Reading = DEFAULT_READING,
    progress: Progress = no_progress,
    also: Callable[[Mapping[str, Dataset]], list[str]] = lambda datasets: [],
) -> dict[str, Dataset]:
    """Read several data sets and check every file; the problems of all are one DataError.

    `also` finds further problems of the data sets that were read. A file that cannot be used raises
    BrokenImages, which is a DataError, unless `reading` skips it.
    """
    problems = [problem for each in listings.values() for problem in each.problems]
    broken: list[Broken] = []
    read_sets: dict[str, Dataset] = {}
    wanted = {name: _wanted(listing, reading) for name, listing in listings.items()}
    total, done = sum(map(len, wanted.values())), 0
    progress("Check the images", 0, total)
    for name, listing in listings.items():
        pictures, unusable = [], []
        with ThreadPoolExecutor() as threads:
            for checked in threads.map(_check, wanted[name]):
                done += 1
                progress("Check the images", done, total)
                if checked.digest in reading.excluded.digests:
                    continue
                if isinstance(checked, Broken):
                    unusable.append(checked)
                else:
                    pictures.append(checked)
        broken += unusable
        notes = _notes(listing, len(listing.files) - len(pictures) - len(unusable), unusable)
        read_sets[name] = Dataset(
            listing.classes,
            tuple(pictures),
            near_duplicates.groups(pictures),
            tuple(notes),
            tuple(unusable),
        )
        problems += _emptied(listing, read_sets[name], reading)
    if not reading.skip_broken:
        problems += [f"{shown(each.path)}: {each.problem}" for each in broken]
    problems += [] if reading.lenient else _in_two_classes(read_sets)
    problems += also(read_sets)
    if reading.lenient:
        return {name: replace(each, notes=each.notes + tuple(problems)) for name, each in read_sets.items()}
    if problems:
        raise BrokenImages(problems, broken) if broken else DataError(problems)
    return read_sets


def _wanted(listing: Listing, reading: Reading) -> list[tuple[Path, int]]:
    """The files that are not excluded by their path, each with the index of its class."""
    label = {each: index for index, each in enumerate(listing.classes)}
    return [(path, label[each]) for path, each in listing.files if not reading.excluded.has_path(path)]


def _check(file: tuple[Path, int]) -> Picture | Broken:
    path, label = file
    digest = ""
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        thumbnail = prepare(data, _CHECKED_INPUT, LIMITS)
    except PictureError as error:
        return Broken(path, str(error), digest)
    except OSError as error:
        return Broken(path, f"the file cannot be read ({error.strerror}).")
    return Picture(path, label, digest, thumbnail.tobytes())


def _notes(listing: Listing, excluded: int, broken: list[Broken]) -> list[str]:
    notes = []
    if skipped := litter.mention(listing.litter):
        notes.append(skipped)
    if excluded:
        notes.append(
            f"Left out {counted(excluded, 'image')} of {shown(listing.source)} that --exclude lists."
        )
    if broken:
        examples = "; ".join(f"{shown(each.path)}: {each.problem.rstrip('.')}" for each in broken[:3])
        more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
        notes.append(f"Skipped {counted(len(broken), 'unusable file')} ({examples}{more}).")
    return notes


def _emptied(listing: Listing, dataset: Dataset, reading: Reading) -> list[str]:
    """The classes that have files, but none that is left."""
    if not (reading.skip_broken or len(reading.excluded)):
        return []
    had = {name for _, name in listing.files}
    return [
        f"{shown(listing.source)}: class '{name}' has no usable image left. Add images, or remove it."
        for name, count in dataset.counts().items()
        if not count and name in had
    ]


def _in_two_classes(datasets: Mapping[str, Dataset]) -> list[str]:
    first: dict[str, tuple[Picture, str]] = {}
    problems = []
    for dataset in datasets.values():
        for picture in dataset.pictures:
            name = dataset.classes[picture.label]
            other, other_name = first.setdefault(picture.digest, (picture, name))
            if other_name != name:
                problems.append(
                    f"{shown(picture.path)}: class '{other_name}' holds the same image, {shown(other.path)}. "
                    "Remove one of the two."
                )
    return problems
