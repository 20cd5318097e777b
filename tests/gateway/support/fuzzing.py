"""Mutated pictures and requests against a running gateway: nothing a sender does may be the gateway's
failure.

Allowed are 2xx, 4xx, 503 and 504. The memory of the process is watched all the while.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mutations import Request, RequestMaker
from wire import Wire


@dataclass
class Tenth:
    """What a tenth of the run gave."""

    statuses: Counter[int] = field(default_factory=Counter)
    #: Resident memory at most.
    rss_megabytes: float = 0.0
    ended: float = 0.0


@dataclass
class Outcome:
    """What a run of mutated requests gave."""

    tenths: list[Tenth] = field(default_factory=lambda: [Tenth() for _ in range(10)])
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, tenth: Tenth, request: Request, status: int, text: bytes) -> None:
        """Counts one response. A connection that is closed without one is a failure only where the head of
        the request was a good one."""
        tenth.statuses[status] += 1
        tenth.ended = time.monotonic()
        if (status == 0 and request.is_whole) or (status >= 500 and status not in (503, 504)):
            self.failures.append(f"{status} {request.data[:400]!r}: {text[:300]!r}")

    @property
    def statuses(self) -> Counter[int]:
        return sum((tenth.statuses for tenth in self.tenths), Counter())

    @property
    def requests(self) -> int:
        return sum(tenth.statuses.total() for tenth in self.tenths)

    @property
    def max_rss_megabytes(self) -> float:
        return max(tenth.rss_megabytes for tenth in self.tenths)


def run(
    port: int,
    pid: int,
    requests: int,
    seed: int,
    threads: int = 4,
    report: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Sends this many mutated requests from several threads; `pid` is the gateway's process."""
    makers = [RequestMaker(seed * 1000 + number) for number in range(threads)]
    outcome, lock = Outcome(), threading.Lock()

    def send(number: int) -> None:
        maker, wire = makers[number], Wire(port)
        for count in range(requests // threads):
            request = maker.make()
            status, text = wire.exchange(request)
            tenth = outcome.tenths[min(9, count * 10 * threads // requests)]
            with lock:
                outcome.add(tenth, request, status, text)
                if count % 50 == 0:
                    tenth.rss_megabytes = max(tenth.rss_megabytes, resident_megabytes(pid))
                    if report is not None:
                        report(outcome)
        wire.close()

    workers = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return outcome


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and its children, in MB (10^6 bytes)."""
    pages = 0
    for each in (pid, *children(pid)):
        pages += int(Path(f"/proc/{each}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def children(pid: int) -> list[int]:
    """The processes that a process has started, at any depth."""
    direct = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in direct for each in (child, *children(child))]


def seed_of_the_moment() -> int:
    """Each run uses a new seed. The report names the seed, so that a run can be repeated."""
    return int(time.time())
