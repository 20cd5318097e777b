"""The file of the results: a line for each picture, written at once, so that a killed run continues.

The end of the name decides the form. `.jsonl`: an object on each line, with the probabilities of all classes.
`.csv`: a table with the label and its probability.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BatchInterruptedError, BatchRefusedError

_COLUMNS = ("picture", "label", "probability", "prediction", "version", "error")
_FORMS = (".jsonl", ".csv")


@dataclass(frozen=True)
class Result:
    """What the gateway responded for a picture, or the sentence that says why there is no prediction."""

    picture: str
    response: Mapping[str, Any] | None
    error: str = ""

    @property
    def label(self) -> str:
        """The label; `unsure` or `unfamiliar` if the gateway gives none."""
        response = self.response or {}
        is_familiar = (response.get("familiarity") or {}).get("familiar", True)
        return str(response.get("label") or ("unsure" if is_familiar else "unfamiliar"))

    @property
    def version(self) -> Any:
        """The version of the model."""
        return ((self.response or {}).get("model") or {}).get("version")


class ResultsFile:
    """The file; use it in a `with` block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_csv = path.suffix.lower() == ".csv"
        self._done: set[str] = set()

    def has(self, picture: str) -> bool:
        """Whether an earlier run has written a line for this picture."""
        return (_on_one_line(picture) if self._is_csv else picture) in self._done

    def __enter__(self) -> ResultsFile:
        """Open or create the file, and read what an earlier run has written.

        Raises BatchRefusedError if it is another file or cannot be written, BatchInterruptedError if another
        run writes it now.
        """
        if self._path.suffix.lower() not in _FORMS:
            raise BatchRefusedError(f"The results file {self._path} must end with {' or '.join(_FORMS)}.")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise BatchInterruptedError(
                f"Another run writes {self._path} now. Wait for its end, or choose another results file."
            ) from None
        except OSError as error:
            raise BatchRefusedError(
                f"The results file {self._path} cannot be written: {error.strerror}. Choose a folder that "
                "the user 65532 can write, such as one on a claim."
            ) from None
        self._continue()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of a line that `add` could not write
            self._file.close()

    def add(self, result: Result) -> None:
        """Write a line. Raises BatchInterruptedError if it cannot, for example on a full volume."""
        try:
            self._file.write(_row(_values(result)) if self._is_csv else _object(_document(result)))
            self._file.flush()
        except OSError as error:
            raise BatchInterruptedError(
                f"The results file {self._path} cannot be written: {error.strerror}. Make room on its "
                "volume. The next run continues."
            ) from None

    def _continue(self) -> None:
        """Read the pictures of whole lines, and cut off a last line that a killed run has not completed."""
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(iter(self._file.readline, b""), start=1):
            if not line.endswith(b"\n"):
                break
            if number > 1 or not self._is_csv:
                self._done.add(self._picture(line))
            elif line != _row(_COLUMNS):
                raise self._is_other()
            whole += len(line)
        self._file.truncate(whole)
        if self._is_csv and not whole:
            self._file.write(_row(_COLUMNS))

    def _picture(self, line: bytes) -> str:
        text = line.decode("utf-8", "surrogateescape")
        try:
            found = next(csv.reader(io.StringIO(text)))[0] if self._is_csv else json.loads(text)["picture"]
        except (ValueError, LookupError, TypeError, csv.Error, StopIteration):
            raise self._is_other() from None
        return str(found)

    def _is_other(self) -> BatchRefusedError:
        return BatchRefusedError(
            f"{self._path} exists and is not the results of a batch. Choose another results file."
        )


def _row(values: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(_on_one_line, values))
    return text.getvalue().encode("utf-8", "surrogateescape")


def _on_one_line(value: str) -> str:
    """A line break in a name or a sentence would end the line of the table."""
    return value.replace("\r", "\\r").replace("\n", "\\n")


def _object(document: dict[str, Any]) -> bytes:
    try:
        return f"{json.dumps(document, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:  # a name that is not UTF-8
        return f"{json.dumps(document)}\n".encode()


def _values(result: Result) -> tuple[str, ...]:
    if result.response is None:
        return (result.picture, "", "", "", "", result.error)
    response = result.response
    probability = f"{response.get('probability', 0):.6f}"
    return (
        result.picture,
        result.label,
        probability,
        str(response.get("prediction")),
        str(result.version),
        "",
    )


def _document(result: Result) -> dict[str, Any]:
    if result.response is None:
        return {"picture": result.picture, "error": result.error}
    names = ("prediction", "probability", "probabilities", "familiarity")
    values = {name: result.response[name] for name in names if name in result.response}
    return {"picture": result.picture, "label": result.label, **values, "version": result.version}
