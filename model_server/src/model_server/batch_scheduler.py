"""Batches requests: the threads that run the batches of all models, and the queues.

One pool of threads serves the queues of all models; each queue holds the requests that ask the same tensors
of the same model. The last batch of a queue is open and takes requests until it is full or
`batch_timeout_micros` old. Rules and messages are those of TensorFlow's shared_batch_scheduler.h.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import pairwise

from .batching_options import Batching
from .status import Code, StatusError, invalid_argument
from .tensors import Array


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


class BatchQueue:
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
        """Remove the oldest batch, and return its tasks."""
        batch = self.batches.popleft()
        if not self.batches:
            self.batches.append(_Batch())
        return batch.tasks

    def free_rows(self) -> int:
        """The rows that the queue can still take."""
        batches_to_come = self.options.max_enqueued_batches - len(self.batches)
        return batches_to_come * self.batch_size_limit + self.batch_size_limit - self.batches[-1].size

    def add(self, task: Task) -> None:
        """Put a task in the open batch, or in a new one if it does not fit."""
        if self.batches[-1].size + task.size > self.batch_size_limit:
            self.batches.append(_Batch())
        self.batches[-1].tasks.append(task)
        self.batches[-1].size += task.size


class BatchScheduler:
    """The threads that run batches, shared by all models."""

    def __init__(self, num_threads: int, thread_pool_name: str) -> None:
        self.thread_pool_name = thread_pool_name
        self._changed = threading.Condition()
        self._queues: deque[BatchQueue] = deque()
        for number in range(num_threads):
            threading.Thread(target=self._work, name=f"{thread_pool_name}-{number}", daemon=True).start()

    def add_queue(self, options: Batching, process: Callable[[list[Task]], None]) -> BatchQueue:
        """Open a queue; `process` is called in a thread of the pool and settles every task's result."""
        queue = BatchQueue(options, process)
        with self._changed:
            self._queues.append(queue)
        return queue

    def remove_queue(self, queue: BatchQueue) -> None:
        """Close an empty queue."""
        with self._changed:
            self._queues.remove(queue)

    def schedule(self, queue: BatchQueue, task: Task) -> list[Task]:
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
