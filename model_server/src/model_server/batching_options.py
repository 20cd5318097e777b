"""The options of batching: reads and checks a BatchingParameters file."""

from dataclasses import dataclass
from typing import Any

from .flags import cores
from .status import invalid_argument
from .text_config import MESSAGE_CLASSES, read_text_proto


@dataclass(frozen=True)
class Batching:
    """BatchingParameters with the defaults of TensorFlow's SharedBatchScheduler; sizes are rows."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = 1
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 1000


def read_batching(path: str) -> Batching:
    """Read a BatchingParameters file; an empty path gives the defaults, a thread for each core.

    Raises StatusError (INVALID_ARGUMENT) for a file or sizes that cannot be used.
    """
    if not path:
        return Batching(num_batch_threads=cores(), thread_pool_name="model_server_batch_threads")
    message = read_text_proto(path, MESSAGE_CLASSES["BatchingParameters"]())

    def value(field: str, default: Any) -> Any:
        return getattr(message, field).value if message.HasField(field) else default

    max_batch_size = value("max_batch_size", Batching.max_batch_size)
    batching = Batching(
        max_batch_size=max_batch_size,
        batch_timeout_micros=value("batch_timeout_micros", Batching.batch_timeout_micros),
        max_enqueued_batches=value("max_enqueued_batches", Batching.max_enqueued_batches),
        num_batch_threads=value("num_batch_threads", cores()),
        thread_pool_name=value("thread_pool_name", Batching.thread_pool_name),
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
        enable_large_batch_splitting=value("enable_large_batch_splitting", False),
        max_execution_batch_size=value("max_execution_batch_size", max_batch_size),
    )
    if batching.allowed_batch_sizes and batching.allowed_batch_sizes[-1] != max_batch_size:
        raise invalid_argument(
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
            f"{batching.allowed_batch_sizes[-1]}; expected {max_batch_size}"
        )
    if list(batching.allowed_batch_sizes) != sorted(set(batching.allowed_batch_sizes)):
        raise invalid_argument("allowed_batch_sizes entries must be in increasing order")
    for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
        if getattr(batching, name) < 1:
            raise invalid_argument(f"{name} must be positive; was {getattr(batching, name)}")
    return batching
