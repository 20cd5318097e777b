"""Batches requests: wraps a model, so that requests for the same tensors run together.

Rules and messages are those of TensorFlow Serving's batching_session.cc.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .batch_scheduler import BatchQueue, BatchScheduler, Task
from .batch_tensors import batch_size, merge
from .batching_options import Batching
from .metrics import Metrics
from .status import Code, StatusError
from .tensors import Array

Run = Callable[[Mapping[str, Array], Sequence[str], float | None], list[Array]]


class BatchingSession:
    """Wraps a model's `run`, so that requests for the same tensors are run together."""

    def __init__(self, run: Run, options: Batching, scheduler: BatchScheduler, metrics: Metrics) -> None:
        self._run = run
        self._options = options
        self._scheduler = scheduler
        self._metrics = metrics
        self._queues: dict[tuple[frozenset[str], frozenset[str]], BatchQueue] = {}
        self._lock = threading.Lock()

    def run(
        self, inputs: Mapping[str, Array], output_names: Sequence[str], timeout_seconds: float | None
    ) -> list[Array]:
        """As SavedModelSession.run, with the first dimension of every input and output being the batch."""
        task = Task(inputs, batch_size(inputs), timeout_seconds)
        parts = self._scheduler.schedule(self._queue(frozenset(inputs), frozenset(output_names)), task)
        results = [part.result.result() for part in parts]
        return [
            np.concatenate([r[name] for r in results]) if len(parts) > 1 else results[0][name]
            for name in output_names
        ]

    def close(self) -> None:
        """Close the queues; no request may be running."""
        with self._lock:
            for queue in self._queues.values():
                self._scheduler.remove_queue(queue)
            self._queues.clear()

    def _queue(self, inputs: frozenset[str], outputs: frozenset[str]) -> BatchQueue:
        with self._lock:
            if (inputs, outputs) not in self._queues:
                names = sorted(outputs)
                self._queues[inputs, outputs] = self._scheduler.add_queue(
                    self._options, lambda tasks: self._process(names, tasks)
                )
            return self._queues[inputs, outputs]

    def _process(self, output_names: Sequence[str], tasks: list[Task]) -> None:
        try:
            results = self._run_batch(output_names, tasks)
        except Exception as error:  # any error must reach the waiting requests
            for task in tasks:
                task.result.set_exception(error)
        else:
            for task, result in zip(tasks, results, strict=True):
                task.result.set_result(result)

    def _run_batch(self, output_names: Sequence[str], tasks: list[Task]) -> list[dict[str, Array]]:
        now = time.monotonic()
        for task in tasks:
            self._metrics.queuing_latency.add((now - task.enqueued) * 1e6, self._scheduler.thread_pool_name)
        remaining_seconds = max(task.remaining_seconds(now) for task in tasks)
        if remaining_seconds <= 0:
            raise StatusError(
                Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue"
            )
        merged = {
            name: merge(name, [task.inputs[name] for task in tasks], self._options)
            for name in tasks[0].inputs
        }
        rows = next(iter(merged.values())).shape[0]
        outputs = self._run(
            merged, output_names, None if remaining_seconds == float("inf") else remaining_seconds
        )
        self._metrics.wrapped_run_count.add()
        for output in outputs:
            if output.ndim == 0:
                raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if output.shape[0] != rows:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
                    "sizes of the input tensors",
                )
        results, start = [], 0
        for task in tasks:
            end = start + task.size
            results.append({n: o[start:end] for n, o in zip(output_names, outputs, strict=True)})
            start = end
        return results
