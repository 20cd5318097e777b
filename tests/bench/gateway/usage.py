"""Measures processes: memory and CPU time of a process tree, and a description of the machine."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path
from typing import Any


def memory(pids: list[int]) -> dict[str, float]:
    """Resident and proportional memory of all processes of a gateway, in MB (10^6 bytes)."""
    total = {"Rss": 0.0, "Pss": 0.0}
    for pid in tree(pids):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in total:
                total[name] += int(rest.split()[0]) * 1024 / 1e6
    return total


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in tree(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tree(pids: list[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        found += [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


def machine() -> dict[str, Any]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "load_before": os.getloadavg()[0],
    }
