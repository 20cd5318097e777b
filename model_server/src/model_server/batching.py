"""Batches requests: TensorFlow Serving's batching session over a shared scheduler.

One pool of threads serves the queues of all models; each queue holds the requests that ask the same tensors
of the same model. The last batch of a queue is open and takes requests until it is full or
`batch_timeout_micros` old. Rules and messages are those of batching_session.cc and TensorFlow's
shared_batch_scheduler.h.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .metrics import Metrics
from .status import Code, StatusError, invalid_argument
from .tensors import Array
from .text_config import Batching

Run = Callable[[Mapping[str, Array], Sequence[str], float | None], list[Array]]


@dataclass
class Task:
    """A request, or a part of one, that waits in a queue."""

    inputs: Mapping[str, Array]
    size: int
    timeout_seconds: float | None
    enqueued: float = field(default_factory=time.monotonic)
    result: "Future[dict[str, Array]]" = field(default_factory=Future)

    def remaining_seconds(self, now: float) -> float:
        """The remaining seconds until the timeout; infinite without one."""
        return float("inf") if self.timeout_seconds is None else self.timeout_seconds - (now - self.enqueued)


class _Batch:
    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.size = 0


class _Queue:
    """Batches in order of arrival; tasks join the last one. The lock of the scheduler guards it."""

    def __init__(self, options: Batching, process: Callable[[list[Task]], None]) -> None:
        self.options = options
        self.process = process
        splits = options.enable_large_batch_splitting
        self.batch_size_limit = options.max_execution_batch_size if splits else options.max_batch_size
        self.batches: deque[_Batch] = deque([_Batch()])

    def ready_in_seconds(self, now: float) -> float:
        """0 when a batch can be taken, the time until the open one is old enough, or infinity when empty."""
        open_batch = self.batches[-1]
        if len(self.batches) > 1 or open_batch.size >= self.batch_size_limit:
            return 0.0
        if not open_batch.tasks:
            return float("inf")
        return max(0.0, open_batch.tasks[0].enqueued + self.options.batch_timeout_micros / 1e6 - now)

    def take(self) -> list[Task]:
        batch = self.batches.popleft()
        if not self.batches:
            self.batches.append(_Batch())
        return batch.tasks

    def free_rows(self) -> int:
        batches_to_come = self.options.max_enqueued_batches - len(self.batches)
        return batches_to_come * self.batch_size_limit + self.batch_size_limit - self.batches[-1].size

    def add(self, task: Task) -> None:
        if self.batches[-1].size + task.size > self.batch_size_limit:
            self.batches.append(_Batch())
        self.batches[-1].tasks.append(task)
        self.batches[-1].size += task.size


class BatchScheduler:
    """The threads that run batches, shared by all models."""

    def __init__(self, num_threads: int, thread_pool_name: str) -> None:
        self.thread_pool_name = thread_pool_name
        self._changed = threading.Condition()
        self._queues: deque[_Queue] = deque()
        for number in range(num_threads):
            threading.Thread(target=self._work, name=f"{thread_pool_name}-{number}", daemon=True).start()

    def add_queue(self, options: Batching, process: Callable[[list[Task]], None]) -> _Queue:
        """Open a queue; `process` is called in a thread of the pool and settles every task's result."""
        queue = _Queue(options, process)
        with self._changed:
            self._queues.append(queue)
        return queue

    def remove_queue(self, queue: _Queue) -> None:
        """Close an empty queue."""
        with self._changed:
            self._queues.remove(queue)

    def schedule(self, queue: _Queue, task: Task) -> list[Task]:
        """Put a task in a queue; returns the parts it was split into, in order.

        Raises StatusError: INVALID_ARGUMENT for a task larger than a batch may be, UNAVAILABLE when the queue
        is full.
        """
        options = queue.options
        if task.size > options.max_batch_size:
            raise invalid_argument(
                f"Task size {task.size} is larger than maximum input batch size {options.max_batch_size}"
            )
        with self._changed:
            if options.enable_large_batch_splitting:
                free = queue.free_rows()
                if task.size > free:
                    raise StatusError(
                        Code.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full; task size is "
                        f"{task.size} but scheduling capacity is only {free} "
                        f"(num_enqueued_batches={len(queue.batches)}, "
                        f"max_enqueued_batches={options.max_enqueued_batches}, "
                        f"open_batch_size={queue.batches[-1].size}, "
                        f"max_execution_batch_size={options.max_execution_batch_size})",
                    )
                parts = _split(task, queue.batch_size_limit - queue.batches[-1].size, queue.batch_size_limit)
            else:
                full = queue.batches[-1].size + task.size > queue.batch_size_limit
                if full and len(queue.batches) >= options.max_enqueued_batches:
                    raise StatusError(
                        Code.UNAVAILABLE,
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                parts = [task]
            for part in parts:
                queue.add(part)
            self._changed.notify(len(parts))
        return parts

    def _work(self) -> None:
        while True:
            with self._changed:
                while True:
                    now = time.monotonic()
                    waits = [(queue.ready_in_seconds(now), queue) for queue in self._queues]
                    wait_seconds, queue = min(waits, key=lambda item: item[0], default=(float("inf"), None))
                    if queue is not None and wait_seconds <= 0:
                        break
                    self._changed.wait(None if wait_seconds == float("inf") else wait_seconds)
                self._queues.remove(queue)  # to the end, so that the queues take turns
                self._queues.append(queue)
                tasks = queue.take()
                if queue.ready_in_seconds(now) <= 0:
                    self._changed.notify()
            queue.process(tasks)


def _split(task: Task, first_size: int, size_limit: int) -> list[Task]:
    if task.size <= first_size:
        return [task]
    edges = [0, *([first_size] if first_size > 0 else [])]
    while edges[-1] < task.size:
        edges.append(min(task.size, edges[-1] + size_limit))
    return [
        Task(
            {name: array[a:b] for name, array in task.inputs.items()},
            b - a,
            task.timeout_seconds,
            task.enqueued,
        )
        for a, b in pairwise(edges)
    ]


def batch_size(inputs: Mapping[str, Array]) -> int:
    """The first dimension that all inputs share; raises StatusError (INVALID_ARGUMENT) when they do not."""
    if not inputs:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in inputs.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes = {array.shape[0] for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return int(sizes.pop())


def merge(name: str, arrays: Sequence[Array], options: Batching) -> Array:
    """Put the same input of several tasks together, and fill up to the next allowed batch size.

    The rows that fill up repeat the first row of the last task. Raises StatusError (FAILED_PRECONDITION) when
    other dimensions than the first differ and padding is off.
    """
    if any(array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        if not options.pad_variable_length_inputs or len({array.ndim for array in arrays}) > 1:
            raise StatusError(
                Code.FAILED_PRECONDITION,
                f"Tensors with name '{name}' from different tasks have different shapes and padding is "
                "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
                "same name have equal dimensions starting with the first dim.",
            )
        arrays = [_pad(array, np.max([other.shape[1:] for other in arrays], axis=0)) for array in arrays]
    rows = sum(array.shape[0] for array in arrays)
    filler = np.repeat(arrays[-1][:1], allowed_size(rows, options.allowed_batch_sizes) - rows, axis=0)
    parts = [*arrays, filler] if len(filler) else list(arrays)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _pad(array: Array, shape: Sequence[int]) -> Array:
    padded = np.full((array.shape[0], *shape), array.flat[0], array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def allowed_size(rows: int, allowed_batch_sizes: Sequence[int]) -> int:
    """The smallest allowed batch size that holds `rows`; any size where none are named.

    >>> allowed_size(3, (1, 4, 8)), allowed_size(3, ())
    (4, 3)
    """
    return next((size for size in allowed_batch_sizes if size >= rows), rows)


class BatchingSession:
    """Wraps a model's `run`, so that requests for the same tensors are run together."""

    def __init__(self, run: Run, options: Batching, scheduler: BatchScheduler, metrics: Metrics) -> None:
        self._run = run
        self._options = options
        self._scheduler = scheduler
        self._metrics = metrics
        self._queues: dict[tuple[frozenset[str], frozenset[str]], _Queue] = {}
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

    def _queue(self, inputs: frozenset[str], outputs: frozenset[str]) -> _Queue:
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
