"""One run of a batch: threads that classify the pictures that have no result yet, and the progress."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from .asking import Asker, Gateway
from .errors import BatchInterruptedError
from .pictures import Pictures
from .results import Result, ResultsFile

_READ_ATTEMPTS = 5
_COMPLAINT_SECONDS = 30


@dataclass
class Tally:
    """What has been done of a batch. `before`: by earlier runs."""

    total: int
    before: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    failed: int = 0

    @property
    def now(self) -> int:
        """The pictures that this run has done."""
        return self.labels.total() + self.failed

    @property
    def done(self) -> int:
        """The pictures that have a line in the results."""
        return self.before + self.now

    def count(self, result: Result) -> None:
        """Count a picture."""
        if result.response is None:
            self.failed += 1
        else:
            self.labels[result.label] += 1
            self.versions[str(result.version)] += 1

    def progress(self, seconds: float) -> str:
        """The line of the progress after this time. The plugin of kubectl shows it as it is.

        >>> Tally(10_000, 1_000, Counter(pizza=1_990), Counter({"1": 1_990}), 10).progress(100)
        '3,000 of 10,000 pictures (30 %), 10 without a prediction, 20.0 pictures/s, about 6 min left'
        """
        percent = 100 * self.done // self.total
        failed = f", {self.failed:,} without a prediction" if self.failed else ""
        rate = self.now / seconds if seconds > 0 else 0.0
        remaining = self.total - self.done
        left = f", about {_duration(remaining / rate)} left" if rate and remaining else ""
        return f"{self.done:,} of {self.total:,} pictures ({percent} %){failed}, {rate:.1f} pictures/s{left}"

    def summary(self) -> str:
        """The last line.

        >>> Tally(5, 2, Counter(pizza=2), Counter({"1": 2}), 1).summary()
        'Done: 5 of 5 pictures, 2 of them before. This run: 2 pizza, by version 1; 1 without a prediction.'
        """
        before = f", {self.before:,} of them before" if self.before else ""
        labels = ", ".join(f"{count:,} {label}" for label, count in self.labels.most_common(10)) or "none"
        versions = " and ".join(f"{version}" for version in sorted(self.versions))
        by = f", by version {versions}" if versions else ""
        failed = f"; {self.failed:,} without a prediction" if self.failed else ""
        return f"Done: {self.done:,} of {self.total:,} pictures{before}. This run: {labels}{by}{failed}."


class _StoppedError(BatchInterruptedError):
    """A signal, or an error in another thread, has stopped the run."""


class Run:
    """A run. `report` gets a line each `interval_seconds`, and why it waits."""

    def __init__(
        self,
        pictures: Pictures,
        gateway: Gateway,
        report: Callable[[str], None],
        interval_seconds: float = 10,
    ) -> None:
        self._pictures, self._gateway, self._report = pictures, gateway, report
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._complained = float("-inf")

    def stop(self) -> None:
        """End after the pictures that are under way: a signal handler calls this."""
        self._stop.set()

    def classify(self, names: Sequence[str], results: ResultsFile, tally: Tally, concurrency: int) -> None:
        """Classify these pictures, with `concurrency` requests at once.

        Raises BatchRefusedError, or BatchInterruptedError when the run had to end before the pictures did.
        """
        waiting = iter(names)
        started = time.monotonic()
        with ThreadPoolExecutor(concurrency) as threads:
            futures = [threads.submit(self._work, waiting, results, tally) for _ in range(concurrency)]
            unfinished = set(futures)
            while unfinished:
                done, unfinished = wait(unfinished, self._interval_seconds, FIRST_EXCEPTION)
                if any(future.exception() for future in done):
                    self._stop.set()
                self._report(tally.progress(time.monotonic() - started))
        errors = [error for future in futures if (error := future.exception())]
        if errors:
            raise min(errors, key=_says_less)

    def _work(self, waiting: Iterator[str], results: ResultsFile, tally: Tally) -> None:
        asker = Asker(self._gateway, self._wait, self._complain)
        try:
            while (name := self._next(waiting)) is not None:
                result = self._classified(asker, name)
                with self._lock:
                    results.add(result)
                    tally.count(result)
        finally:
            asker.close()

    def _next(self, waiting: Iterator[str]) -> str | None:
        with self._lock:
            name = next(waiting, None)
        if name is not None:
            self._wait(0)  # raises if the run was stopped
        return name

    def _classified(self, asker: Asker, name: str) -> Result:
        try:
            return Result(name, asker.classify(self._read(name)))
        except ValueError as error:
            return Result(name, None, str(error))

    def _read(self, name: str) -> bytes:
        for attempt in range(_READ_ATTEMPTS):
            try:
                return self._pictures.read(name)
            except OSError as error:
                if attempt == _READ_ATTEMPTS - 1:
                    raise BatchInterruptedError(
                        f"{name} in {self._pictures} cannot be read: {error}. The next run continues."
                    ) from None
                self._complain(f"{name} cannot be read now: {error}.")
                self._wait(2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds) if seconds > 0 else self._stop.is_set():
            raise _StoppedError("The run was stopped. The next one continues.")

    def _complain(self, sentence: str) -> None:
        with self._lock:
            if time.monotonic() - self._complained < _COMPLAINT_SECONDS:
                return
            self._complained = time.monotonic()
        self._report(f"Waiting: {sentence}")


def _says_less(error: BaseException) -> tuple[bool, bool]:
    """The order of errors. The other threads, which one error stops, say only that they were stopped."""
    return isinstance(error, BatchInterruptedError), isinstance(error, _StoppedError)


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s"
