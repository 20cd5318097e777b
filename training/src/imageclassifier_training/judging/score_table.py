"""A CSV file of scores that is written line by line, so that a run that was killed continues where it was."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ..errors import TrainingError
from ..files import shown, write_atomically
from ..progress import Progress, no_progress
from .scoring import Scored

_HEADER = ("image", "label", "probability", "message", "error", "model")


class ScoreTable:
    """The table; use it in a `with` block. `done` are the images that need not be scored again.

    Images with an error are scored again. The columns of the probabilities come from the first decision.
    Raises TrainingError when the file was written by another model or is not such a table.
    """

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model
        self._waiting: list[Scored] = []
        self.done: set[str] = set()
        # Only whole lines without an error are kept: the last line of a killed run may be half a line.
        self._names, kept = self._read() if path.exists() else (None, [])
        text = io.StringIO()
        if self._names is not None:
            csv.writer(text, lineterminator="\n").writerows([self._header(), *kept])
        write_atomically(path, text.getvalue().encode("utf-8", "surrogateescape"))
        self._file = path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
        self._table = csv.writer(self._file, lineterminator="\n")

    def __enter__(self) -> ScoreTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._names is None:
            self._names = ()
            self._start()
        self._file.close()

    def add(self, scored: Scored) -> None:
        """Write a line. Images with an error are kept back until the first decision shows the columns."""
        if self._names is None and scored.decision is None:
            self._waiting.append(scored)
            return
        if self._names is None and scored.decision is not None:
            self._names = tuple(scored.decision.probabilities)
            self._start()
        self._write(scored)
        self._file.flush()

    def _read(self) -> tuple[tuple[str, ...] | None, list[list[str]]]:
        with self._path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = list(csv.reader(file))
        if not rows:
            return None, []
        header = rows[0]
        if tuple(header[: len(_HEADER)]) != _HEADER:
            raise TrainingError(
                f"{shown(self._path)} exists and was not written by `score`. Give another --csv file."
            )
        whole = [row for row in rows[1:] if len(row) == len(header)]
        if others := {row[5] for row in whole} - {self._model}:
            raise TrainingError(
                f"{shown(self._path)} has the scores of {others.pop()}, and this is {self._model}. Give "
                "another --csv file, or delete this one."
            )
        kept = [row for row in whole if not row[4]]
        self.done = {row[0] for row in kept}
        return tuple(name[2:-1] for name in header[len(_HEADER) :]) if kept else None, kept

    def _start(self) -> None:
        self._table.writerow(self._header())
        for each in self._waiting:
            self._write(each)

    def _header(self) -> list[str]:
        return [*_HEADER, *(f"p({name})" for name in self._names or ())]

    def _write(self, scored: Scored) -> None:
        names = self._names or ()
        decision = scored.decision
        if decision is None:
            row = ["", "", "", scored.error, self._model, *("" for _ in names)]
        else:
            values = (f"{decision.probabilities[name]:.6f}" for name in names)
            row = [
                decision.label, f"{decision.probability:.6f}", decision.message, "", self._model, *values
            ]  # fmt: skip
        self._table.writerow([scored.image, *row])


@dataclass(frozen=True)
class Filled:
    """How many images a run classified with each label, how many failed, and how many were done before."""

    labels: Mapping[str, int]
    failed: int
    already: int


def fill(
    path: Path,
    model: str,
    images: Sequence[str],
    score: Callable[[Sequence[str]], Iterable[Scored]],
    progress: Progress = no_progress,
) -> Filled:
    """Score the images that a table lacks, and add them line by line. `model` is what scores them."""
    counts: Counter[str] = Counter()
    with ScoreTable(path, model) as table:
        wanted = [image for image in images if image not in table.done]
        already = len(images) - len(wanted)
        progress("Classify", already, len(images))
        for done, each in enumerate(score(wanted), start=already + 1):
            table.add(each)
            counts[each.decision.label if each.decision else ""] += 1
            progress("Classify", done, len(images))
    failed = counts.pop("", 0)
    return Filled(dict(counts.most_common()), failed, already)
