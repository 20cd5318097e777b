"""The TensorFlow runtime: SavedModels in sessions. The only module that runs TensorFlow.

A model is held as TensorFlow Serving holds it, as a graph in a session, and run through the C API's session
call below `tf.compat.v1.Session`. That call lets go of the interpreter's lock while the graph runs, takes
arrays and a timeout for each call, and gives the runtime's errors word for word; `Session.run` converts
dtypes silently and rewrites messages, and a `tf.function` costs several times as much a call.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session as c_api
from tensorflow.python.client.session import Session
from tensorflow.python.framework import errors_impl, versions
from tensorflow.python.framework.ops import Graph
from tensorflow.python.lib.io import tf_record
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from .flags import Options
from .status import Code, StatusError, invalid_argument
from .tensors import Array
from .text_config import read_text_proto

TENSORFLOW_VERSION = str(versions.VERSION)


def _status(error: errors_impl.OpError) -> StatusError:
    return StatusError(Code(error.error_code), str(error.message))


def session_config(options: Options) -> Any:
    """The ConfigProto that the flags ask for; raises StatusError when they contradict each other."""
    config = config_pb2.ConfigProto()
    if options.tensorflow_session_config_file:
        read_text_proto(options.tensorflow_session_config_file, config)
    both = options.tensorflow_session_parallelism
    intra, inter = options.tensorflow_intra_op_parallelism, options.tensorflow_inter_op_parallelism
    if min(both, intra, inter) > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, "
            "server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    if intra <= 0 and inter <= 0:
        intra = inter = both
    config.intra_op_parallelism_threads, config.inter_op_parallelism_threads = intra, inter
    return config


class SavedModelSession:
    """A SavedModel, loaded and ready to run."""

    def __init__(self, path: str, tags: Sequence[str], config: Any) -> None:
        """Load the SavedModel in the directory `path`; raises StatusError with what TensorFlow says."""
        if not any((Path(path) / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
            raise StatusError(
                Code.NOT_FOUND,
                f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}. Check "
                "that the directory exists and that you have the right permissions for accessing it.",
            )
        self._graph = Graph()
        try:
            with self._graph.as_default():
                self._session = Session(graph=self._graph, config=config)
                self.meta_graph_def = SavedModelLoader(path).load(self._session, list(tags))
        except errors_impl.OpError as error:
            raise _status(error) from error
        except (OSError, DecodeError) as error:
            raise StatusError(
                Code.DATA_LOSS, f"Can't parse {path}/saved_model.pb as binary proto ({error})"
            ) from error
        except RuntimeError as error:
            raise StatusError(Code.NOT_FOUND, str(error)) from error
        except (ValueError, KeyError, TypeError) as error:  # a graph that does not import
            raise StatusError(Code.INVALID_ARGUMENT, f"{type(error).__name__}: {error}") from error
        del self.meta_graph_def.graph_def.node[:]  # the session has its own copy
        del self.meta_graph_def.graph_def.library.function[:]
        self._outputs: dict[str, Any] = {}

    def _output(self, name: str) -> Any:
        output = self._outputs.get(name)
        if output is None:
            try:
                output = self._graph.get_tensor_by_name(name)._as_tf_output()
            except (KeyError, ValueError) as error:
                raise StatusError(Code.NOT_FOUND, f"Tensor {name} is not in the graph.") from error
            self._outputs[name] = output
        return output

    def run(
        self, inputs: Mapping[str, Array], output_names: Sequence[str], timeout_seconds: float | None
    ) -> list[Array]:
        """Run the graph with inputs by tensor name. Raises StatusError with the runtime's message."""
        feeds = {self._output(name): array for name, array in inputs.items()}
        fetches = [self._output(name) for name in output_names]
        options = None
        if timeout_seconds is not None:
            milliseconds = max(1, int(timeout_seconds * 1000))
            options = c_api.TF_NewBufferFromString(
                config_pb2.RunOptions(timeout_in_ms=milliseconds).SerializeToString()
            )
        try:
            values = c_api.TF_SessionRun_wrapper(self._session._session, options, feeds, fetches, [], None)
        except errors_impl.OpError as error:
            raise _status(error) from error
        finally:
            if options is not None:
                c_api.TF_DeleteBuffer(options)
        # A string of rank 0 comes back as bytes, a number of rank 0 as a numpy scalar.
        return [np.array(v, np.object_) if isinstance(v, bytes) else np.asarray(v) for v in values]

    def close(self) -> None:
        """Free the session and its variables."""
        self._session.close()


def read_tf_records(path: str) -> list[bytes]:
    """The records of a TFRecord file; raises StatusError (DATA_LOSS) for a file of another format."""
    try:
        return list(tf_record.tf_record_iterator(path))
    except errors_impl.OpError as error:
        raise StatusError(
            Code(error.error_code), f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from error
