"""Counters and histograms under TensorFlow Serving's own names, in the Prometheus text format.

Written out here because Prometheus' client library ends every counter in `_total`, and TensorFlow Serving
does not: `:tensorflow:serving:request_count`. The bucket limits are those of util.cc,
saved_model_warmup_util.cc and batching_session.cc.
"""

from bisect import bisect_left
from collections.abc import Sequence
from threading import Lock


def _exponential(scale: float, growth: float, count: int) -> list[float]:
    return [scale * growth**power for power in range(count)]


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))


class Counter:
    """A cumulative count for each set of label values."""

    def __init__(self, name: str, *label_names: str) -> None:
        self._name = name
        self._label_names = label_names
        self._values: dict[tuple[str, ...], int] = {}
        self._lock = Lock()

    def add(self, *label_values: str, amount: int = 1) -> None:
        """Count `amount` more."""
        with self._lock:
            self._values[label_values] = self._values.get(label_values, 0) + amount

    def lines(self) -> list[str]:
        """The text format's lines."""
        with self._lock:
            values = dict(self._values)
        return [f"# TYPE {self._name} counter"] + [
            f"{self._name}{{{_labels(self._label_names, key)}}} {value}" for key, value in values.items()
        ]


class Histogram:
    """A distribution with fixed bucket limits for each set of label values."""

    def __init__(self, name: str, limits: Sequence[float], *label_names: str) -> None:
        self._name = name
        self._limits = limits
        self._label_names = label_names
        self._values: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
        self._lock = Lock()

    def add(self, value: float, *label_values: str) -> None:
        """Count one value."""
        bucket = bisect_left(self._limits, value)
        with self._lock:
            buckets, total = self._values.setdefault(label_values, ([0] * (len(self._limits) + 1), [0.0]))
            buckets[bucket] += 1
            total[0] += value

    def lines(self) -> list[str]:
        """The text format's lines."""
        with self._lock:
            values = {key: (list(buckets), total[0]) for key, (buckets, total) in self._values.items()}
        lines = [f"# TYPE {self._name} histogram"]
        limits = [*(f"{limit:g}" for limit in self._limits), "+Inf"]
        for key, (buckets, total) in values.items():
            labels = _labels(self._label_names, key)
            cumulative = 0
            for limit, count in zip(limits, buckets, strict=True):
                cumulative += count
                lines.append(
                    f'{self._name}_bucket{{{labels}{"," if labels else ""}le="{limit}"}} {cumulative}'
                )
            lines.append(f"{self._name}_sum{{{labels}}} {total:g}")
            lines.append(f"{self._name}_count{{{labels}}} {cumulative}")
        return lines


class Metrics:
    """Everything the server measures; times are in microseconds."""

    def __init__(self) -> None:
        latency = _exponential(10, 1.8, 33)
        self.request_count = Counter(":tensorflow:serving:request_count", "model_name", "status")
        self.request_latency = Histogram(
            ":tensorflow:serving:request_latency", latency, "model_name", "API", "entrypoint"
        )
        self.runtime_latency = Histogram(
            ":tensorflow:serving:runtime_latency", latency, "model_name", "API", "runtime"
        )
        self.request_example_counts = Histogram(
            ":tensorflow:serving:request_example_counts", _exponential(1, 2, 15), "model"
        )
        self.request_example_count_total = Counter(":tensorflow:serving:request_example_count_total", "model")
        self.model_warmup_latency = Histogram(
            ":tensorflow:serving:model_warmup_latency", latency, "model_path", "status"
        )
        self.model_warmup_records_read = Counter(
            ":tensorflow:serving:model_warmup_records_read", "model_path", "status"
        )
        self.queuing_latency = Histogram(
            ":tensorflow:serving:batching_session:queuing_latency",
            _exponential(100, 1.2, 52),
            "thread_pool_name",
        )
        self.wrapped_run_count = Counter(":tensorflow:serving:batching_session:wrapped_run_count")

    def page(self) -> str:
        """The whole page in the Prometheus text format."""
        lines = [line for metric in vars(self).values() for line in metric.lines()]
        return "\n".join(lines) + "\n"
