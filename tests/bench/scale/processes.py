"""CPU time and memory of processes, as Linux counts them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB: the current value and the peak."""

    now: float
    peak: float


def cpu_seconds(process_id: int) -> float:
    """The user and system time of a process so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(process_id: int) -> Memory:
    """The resident memory."""
    lines = Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return Memory(*(int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")))


class Cpu:
    """The CPU seconds of named processes since this object was created."""

    def __init__(self, process_ids: dict[str, int]) -> None:
        self._ids = dict(process_ids)
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        found = {}
        for name, process_id in self._ids.items():
            with contextlib.suppress(FileNotFoundError):  # it has ended
                found[name] = cpu_seconds(process_id)
        return found

    def used(self) -> dict[str, float]:
        """The CPU seconds by name."""
        return {name: seconds - self._before[name] for name, seconds in self._now().items()}
