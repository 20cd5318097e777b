"""From a version's directory to a model that answers: load, batch, warm up."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tensorflow_serving.apis import prediction_log_pb2

from .batch_scheduler import BatchScheduler
from .batching import BatchingSession
from .batching_options import Batching, read_batching
from .flags import Options
from .inference import Call, Inference, Model, Session
from .runtime import SavedModelSession, read_tf_records, session_config
from .status import Code, StatusError, invalid_argument

logger = logging.getLogger(__name__)

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCHING_FILE = "batching_params.pbtxt"
_MAX_WARMUP_RECORDS = 1000


class ModelLoader:
    """Loads versions by the rules of the flags."""

    def __init__(self, options: Options, inference: Inference) -> None:
        """Raises StatusError for configuration files that cannot be used."""
        if options.batching_parameters_file and not options.enable_batching:
            raise invalid_argument(
                "server_options.batching_parameters_file is set without setting "
                "server_options.enable_batching to true."
            )
        self._options = options
        self._inference = inference
        self._tags = options.saved_model_tags.split(",")
        self._session_config = session_config(options)
        self._batching: Batching | None = None
        self._scheduler: BatchScheduler | None = None
        if options.enable_batching:
            self._batching = read_batching(options.batching_parameters_file)
            self._scheduler = BatchScheduler(
                self._batching.num_batch_threads, self._batching.thread_pool_name
            )

    def __call__(self, name: str, version: int, path: str) -> Model:
        """Load a version; raises StatusError when it cannot serve."""
        start = time.perf_counter()
        saved_model = SavedModelSession(path, self._tags, self._session_config)
        try:
            session: Session = saved_model
            batching = self._batching_of(path)
            if batching is not None and self._scheduler is not None:
                logger.info("Wrapping session to perform batch processing")
                session = BatchingSession(saved_model.run, batching, self._scheduler, self._inference.metrics)

            def close_all() -> None:
                if session is not saved_model:
                    session.close()
                saved_model.close()

            model = Model(session, dict(saved_model.meta_graph_def.signature_def), close_all)
            if self._options.enable_model_warmup:
                self._warm_up(model, path)
        except BaseException:
            saved_model.close()
            raise
        logger.info("Loaded %s version %d in %.1f s", name, version, time.perf_counter() - start)
        return model

    def _batching_of(self, path: str) -> Batching | None:
        if self._batching is None or not self._options.enable_per_model_batching_parameters:
            return self._batching
        file = Path(path) / BATCHING_FILE
        if not file.exists():
            return None
        threads = self._batching  # the pool of threads is shared, so its size and name stay the server's
        return replace(
            read_batching(str(file)),
            num_batch_threads=threads.num_batch_threads,
            thread_pool_name=threads.thread_pool_name,
        )

    def _warm_up(self, model: Model, path: str) -> None:
        file = Path(path) / WARMUP_FILE
        if not file.exists():
            logger.info("No warmup data file found at %s", file)
            return
        start = time.perf_counter()
        records: Sequence[bytes] = []
        status = "OK"
        try:
            records = read_tf_records(str(file))
            if len(records) > _MAX_WARMUP_RECORDS:
                raise invalid_argument(
                    f"Number of warmup records exceeds the maximum ({_MAX_WARMUP_RECORDS}) at {file}"
                )
            for record in records:
                try:
                    log = prediction_log_pb2.PredictionLog.FromString(record)
                except ValueError as error:
                    raise invalid_argument(f"Failed to parse warmup record from {file}") from error
                for _ in range(max(1, self._options.num_request_iterations_for_warmup)):
                    self._replay(model, log)
        except StatusError as error:
            status = str(error)
            raise
        finally:
            microseconds = (time.perf_counter() - start) * 1e6
            self._inference.metrics.model_warmup_latency.add(microseconds, path, status)
            self._inference.metrics.model_warmup_records_read.add(path, status, amount=len(records))
        logger.info(
            "Finished reading warmup data for model at %s. Number of warmup records read: %d. Elapsed time "
            "(microseconds): %d.",
            file,
            len(records),
            microseconds,
        )

    def _replay(self, model: Model, log: Any) -> None:
        call = Call(version=None, timeout_seconds=None)
        match log.WhichOneof("log_type"):
            case "predict_log":
                self._inference.predict(model, log.predict_log.request, call)
            case "classify_log":
                self._inference.classify(model, log.classify_log.request, call)
            case "regress_log":
                self._inference.regress(model, log.regress_log.request, call)
            case None:
                pass
            case other:
                raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {other}")
