"""The Python API: each function does what the command of the same name does, and returns values.

Importing it does not import TensorFlow; the functions do. Progress and notes go to stderr. A mistake that the
user can correct raises `TrainingError`, or `DataError` with a line for each problem of the images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from .errors import DataError, TrainingError
from .files import default_cache, write_atomically
from .fitting.options import FineTuning, Options, Workspace, check
from .judging.threshold_rule import ThresholdRule
from .networks import weights_folder
from .networks.architecture import Architecture
from .progress import ProgressDisplay
from .publishing.version import Version
from .searching.space import Plan, Space, class_weights

if TYPE_CHECKING:
    from .comparing.board import Board
    from .comparing.champion import Champion, Nested
    from .comparing.costs import Cost
    from .comparing.runs import Run
    from .exploring.explore import Exploration
    from .judging.evaluate import Evaluation
    from .judging.score_table import Filled
    from .networks.learned import Training
    from .pictures.reading import Reading
    from .publishing.release import Released
    from .searching.search import Outcome

__all__ = [
    "Architecture", "Data", "DataError", "FineTuning", "Options", "Plan", "Space", "ThresholdRule",
    "TrainingError", "Version", "champion", "evaluate", "explore", "export", "leaderboard", "score",
    "search", "train",
]  # fmt: skip

PathLike = Path | str
_err = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Data:
    """Labelled images: a folder of classes, a folder of splits, or a CSV file. All functions take a path too.

    Attributes:
        path: Where the images are.
        exclude: A list of files to leave out. `explore` writes one.
        skip_broken: Whether unusable files are left out. Without it, they are an error.
        weights: A file or folder with the ImageNet weights of backbones that are not installed.
        cache: The folder for features, which are computed once.
    """

    path: PathLike
    exclude: PathLike | None = None
    skip_broken: bool = False
    weights: PathLike | None = None
    cache: Path = field(default_factory=default_cache)


def explore(
    data: Data | PathLike,
    options: Options | None = None,
    *,
    html: PathLike | None = None,
    write_list: PathLike | None = None,
) -> Exploration:
    """Show what a data set contains and what is wrong with it. Nothing in it is changed.

    Args:
        data: The images. Files that cannot be used are findings, not errors.
        options: The linear head whose out-of-fold predictions find doubtful labels.
        html: Where to write the report.
        write_list: Where to write the unusable files, copies and probable label errors, for `Data.exclude`.

    Returns:
        Everything that was found. `dataset.counts()` has the classes, `doubts` the labels to check,
        `duplicates`, `outliers` and `broken` the rest, and `expected` the accuracy to expect.
    """
    from .exploring import explore as exploring
    from .exploring import report
    from .pictures import lists

    data = _data(data)
    options = options or Options(views=1)
    with ProgressDisplay(_err) as progress:
        workspace = replace(_workspace(data, Path(), options.architecture), progress=progress)
        found = exploring.explore(Path(data.path), options, workspace, _reading(data))
    _notes(found.notes)
    if html is not None:
        write_atomically(Path(html), report.render(found).encode())
    if write_list is not None:
        lists.write(Path(write_list), found.listed())
    return found


def train(
    data: Data | PathLike,
    out: PathLike,
    options: Options | None = None,
    *,
    messages: Mapping[str, str] | None = None,
    html: PathLike | None = None,
) -> Training:
    """Train a classifier, measure it by cross-validation, and save it in the folder `out`.

    Args:
        data: The images. A split `val/` is used only to measure the result.
        out: The folder of the training, which `leaderboard`, `champion` and `export` take.
        options: The network and how it is trained.
        messages: The sentence that the gateway returns for a class, by class name.
        html: Where to write the report of the cross-validation.

    Returns:
        The training; `metrics["cross_validation"]` has its figures.
    """
    from .fitting import training_run
    from .pictures import training_data

    data = _data(data)
    options = options or Options()
    with ProgressDisplay(_err) as progress:
        sources = training_data.choose(Path(data.path), None)
        classes = sources.training.classes
        check(options, classes, None if html is None else Path(html))
        if unknown := sorted(set(messages or ()) - set(classes)):
            raise TrainingError(f"messages has {', '.join(unknown)}. The classes are {', '.join(classes)}.")
        read = training_data.read(sources, options.folds, _reading(data), progress)
        _notes(read.notes)
        workspace = replace(
            _workspace(data, Path(out), options.architecture),
            progress=progress,
            report=None if html is None else Path(html),
        )
        return training_run.train(
            read.training, options, workspace, validation=read.validation, messages=messages
        )


def search(data: Data | PathLike, out: PathLike, minutes: float, plan: Plan | None = None) -> Outcome:
    """Try many trainings for some minutes. Call it again to continue a search in the same folder.

    Args:
        data: The images; of splits, those of `train/`.
        out: The folder of the search, which `leaderboard`, `champion` and `export` take.
        minutes: The time for this call. At least one trial is finished.
        plan: What is tried, and on which folds.

    Returns:
        How many trials were finished and stopped early, and sentences about those that failed.
    """
    from .pictures import training_data
    from .searching import backbone_weights
    from .searching.search import Search

    data = _data(data)
    folds = Plan.folds if plan is None else plan.folds
    with ProgressDisplay(_err) as progress:
        read = training_data.read_training_set(Path(data.path), folds, _reading(data), progress)
    _notes(read.notes)
    dataset = read.training
    plan = plan or Plan(Space(class_weights=class_weights(dataset.counts())))
    folder = None if data.weights is None else Path(data.weights)
    weights = backbone_weights.provide(plan, Path(out), folder)
    workspace = Workspace(Path(out), data.cache, weights)
    outcome = Search(dataset, plan, workspace, minutes, partial(_err.print, markup=False)).run()
    _notes(outcome.problems)
    return outcome


def leaderboard(
    runs: PathLike | Sequence[PathLike],
    metric: str = "log_loss",
    *,
    html: PathLike | None = None,
    csv: PathLike | None = None,
) -> Board:
    """Rank finished trainings on the same images, with intervals and paired differences.

    Args:
        runs: Folders of trainings and searches.
        metric: `log_loss` or `accuracy`.
        html: Where to write the leaderboard with plots.
        csv: Where to write it as a table.

    Returns:
        The board; its `rows` have the best training first, and `page.champion` is the name of the champion.
    """
    from .comparing import board, costs
    from .comparing import runs as trainings

    folders = _paths(runs)
    found = trainings.find(folders)
    with ProgressDisplay(_err) as progress:
        ranked = board.board(found, metric, costs.measure_in(folders[0], found.runs, progress=progress))
    _notes((*found.notes, *ranked.problems))
    for path, text in ((html, ranked.html), (csv, ranked.csv)):
        if path is not None:
            write_atomically(Path(path), text().encode("utf-8", "surrogateescape"))
    return ranked


def champion(
    runs: PathLike | Sequence[PathLike], metric: str = "log_loss", data: Data | PathLike | None = None
) -> Champion:
    """Choose the cheapest training that is not worse than the best one, and copy it for `export`.

    Args:
        runs: Folders of trainings and searches. The copy is in the folder `champion` of the first.
        metric: `log_loss` or `accuracy`.
        data: The images of the trainings, to measure the choice by full nested cross-validation. It fits all
            trainings again, and takes about twice their time.

    Returns:
        The champion; `nested` has the figures of the choice. They are not too good by luck: each image is
        predicted by a training that was chosen without its fold.
    """
    from .comparing import champion as choosing
    from .comparing import costs, crowning
    from .comparing import runs as trainings

    folders = _paths(runs)
    found = trainings.find(folders)
    _notes(found.notes)
    with ProgressDisplay(_err) as progress:
        measured = costs.measure_in(folders[0], found.runs, progress=progress).complete()
    chosen = choosing.choose(found.runs, metric, measured)
    if data is not None:
        chosen = replace(chosen, nested=_fitted_again(_data(data), folders[0], found.runs, metric, measured))
    crowning.crown(chosen, metric, measured, folders[0] / crowning.CHAMPION_FOLDER)
    return chosen


def export(training: PathLike, version: Version) -> Released:
    """Export a training as a model version that TensorFlow Serving can serve, with its model card.

    Args:
        training: The folder of a training, or of a search with a champion.
        version: Its name and number, where it is written, and its other formats.

    Returns:
        The folder of the version, what its check measured, and how the other formats compare.
    """
    from .publishing import release

    with ProgressDisplay(_err) as progress:
        return release.release(Path(training), version, progress)


def evaluate(model: PathLike, data: Data | PathLike, *, html: PathLike | None = None) -> Evaluation:
    """Measure an exported model on labelled images that it was not trained on.

    Args:
        model: The folder of a version, or of a model (its highest version is used).
        data: The images; of splits, those of `test/`.
        html: Where to write the report.

    Returns:
        The evaluation; `judgement.metrics` has the figures, and `judgement.mistakes` the images.
    """
    from .exporting import saved_model
    from .judging import evaluate as evaluating
    from .judging import report
    from .pictures import folders, reading

    data = _data(data)
    loaded = saved_model.load(Path(model))
    with ProgressDisplay(_err) as progress:
        listing = folders.find(Path(data.path)).to_evaluate
        dataset = reading.read_all({"": listing}, _reading(data), progress)[""]
        _notes(dataset.notes)
        evaluation = evaluating.evaluate(loaded, dataset, progress)
    if html is not None:
        write_atomically(Path(html), report.of_evaluation(evaluation).encode())
    return evaluation


def score(
    model: PathLike, images: PathLike | Sequence[PathLike], csv: PathLike, *, html: PathLike | None = None
) -> Filled:
    """Classify images without labels into a CSV file. A call that was interrupted continues there.

    Args:
        model: The folder of a version or of a model, or the URL of a gateway.
        images: Files, folders and URLs.
        csv: The table, with a line for each image.
        html: Where to write the contact sheet of the table.

    Returns:
        How many images have each label, and how many could not be classified.
    """
    from .judging import contact_sheet, score_table, scoring

    paths = [images] if isinstance(images, str | Path) else images
    wanted = list(dict.fromkeys(scoring.images(map(str, paths))))
    name, score_images = str(model), partial(scoring.with_gateway, str(model))
    if not name.startswith(("http://", "https://")):
        from .exporting import saved_model

        loaded = saved_model.load(Path(model))
        name, score_images = scoring.name_of(loaded), partial(scoring.with_model, loaded)
    with ProgressDisplay(_err) as progress:
        filled = score_table.fill(Path(csv), name, wanted, score_images, progress)
    if html is not None:
        write_atomically(Path(html), contact_sheet.render(Path(csv), name).encode())
    return filled


def _fitted_again(
    data: Data, folder: Path, runs: Sequence[Run], metric: str, measured: Mapping[str, Cost]
) -> Nested:
    from .comparing import costs, nested
    from .pictures import training_data

    with ProgressDisplay(_err) as progress:
        dataset = training_data.read_training_set(Path(data.path), 0, _reading(data), progress).training
        weights = costs.weights_of(folder, runs, None if data.weights is None else Path(data.weights))
        workspace = Workspace(folder / nested.FOLDER, data.cache, weights, progress)
        return nested.measure(runs, dataset, workspace, metric, measured)


def _data(data: Data | PathLike) -> Data:
    return data if isinstance(data, Data) else Data(data)


def _paths(runs: PathLike | Sequence[PathLike]) -> list[Path]:
    return [Path(runs)] if isinstance(runs, str | Path) else [Path(each) for each in runs]


def _reading(data: Data) -> Reading:
    from .pictures import lists
    from .pictures.reading import Reading

    excluded = lists.Exclusions() if data.exclude is None else lists.read(Path(data.exclude))
    return Reading(skip_broken=data.skip_broken, excluded=excluded)


def _workspace(data: Data, out: Path, architecture: Architecture) -> Workspace:
    weights = None if data.weights is None else Path(data.weights)
    return Workspace(out, data.cache, weights_folder.files_for(weights, architecture))


def _notes(notes: Iterable[str]) -> None:
    for note in notes:
        _err.print(f"note: {note}", markup=False)
