"""Writes and loads SavedModels that follow the model contract (`docs/architecture.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from imageclassifier_gateway.contract import (
    CONTRACT_SIGNATURE,
    GOLDEN_SIGNATURE,
    IGNORED_TENSOR,
    JSON_TENSOR,
    MAPS_TENSOR,
    PIXELS_TENSOR,
    PROBABILITIES_TENSOR,
    SERVING_SIGNATURE,
    Contract,
    ContractError,
    Decision,
    Golden,
    parse_contract,
    parse_golden,
)

from ..errors import ModelError
from ..files import numbered

#: numpy's format; TensorFlow Serving leaves this folder alone.
TRAINED_ON_FILE = "assets.extra/trained_on.npy"
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
#: The batch sizes of the warm-up, up to the largest call of a gateway, so that no first batch is slow. The
#: operator configures batching to accept all of them.
WARMUP_BATCHES = (1, 2, 4, 8)
_MIDDLE_GREY = 127

Probabilities = Callable[[Any], Any]
"""Maps RGB pixels from 0 to 255, float32 `(batch, height, width, 3)`, to probabilities `(batch, classes)`.

It may also return a dictionary of tensors, each with the batch as its first axis: the probabilities under
PROBABILITIES_TENSOR, and further outputs of the model.
"""


@dataclass(frozen=True)
class ServedModel:
    """A loaded SavedModel: its contract, its golden images, and its signatures as functions."""

    folder: Path
    contract: Contract
    golden: Golden
    signatures: Any
    #: The fingerprints of the training images (`learned.fingerprints`); empty if the model does not know.
    trained_on: NDArray[np.uint64]

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute probabilities `(batch, classes)` from pixels, uint8 `(batch, height, width, 3)`."""
        return self.scores(pixels)[0]

    def scores(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Compute probabilities `(batch, classes)`, and distances from the training images `(batch,)`.

        The distances are None if the model does not return them. A call has as many images as the largest of
        a gateway: more would take much memory.
        """
        most = WARMUP_BATCHES[-1]
        calls = [self._scores(pixels[start : start + most]) for start in range(0, len(pixels), most)]
        distances = [each for _, each in calls if each is not None]
        return np.concatenate([each for each, _ in calls]), np.concatenate(distances) if distances else None

    def _scores(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        output = self.signatures[SERVING_SIGNATURE](**{PIXELS_TENSOR: tf.constant(pixels)})
        probabilities = self.contract.probabilities(output[PROBABILITIES_TENSOR].numpy())
        familiarity = self.contract.familiarity
        if familiarity is None:
            return probabilities, None
        return probabilities, familiarity.distances(output[familiarity.tensor].numpy())

    def maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Compute the logit of each class at each place, `(batch, rows, columns, classes)`.

        None if the model does not say where a prediction comes from.
        """
        explanation = self.contract.explanation
        if explanation is None:
            return None
        output = self.signatures[explanation.signature](**{PIXELS_TENSOR: tf.constant(pixels)})
        return explanation.maps(output[explanation.tensor].numpy(), len(self.contract.classes))

    def decisions(self, pixels: NDArray[np.uint8]) -> list[Decision]:
        """What the gateway returns for each image."""
        return self.contract.decisions(*self.scores(pixels))


def write(
    folder: Path,
    probabilities: Probabilities,
    contract: Contract,
    golden: Golden,
    trained_on: NDArray[np.uint64] | None = None,
) -> None:
    """Write a SavedModel with warm-up requests and the signatures `serving_default`, `contract` and `golden`.

    `trained_on` are the fingerprints of the training images (`learned.fingerprints`).

    The variables become constants of the graph: batches run at more than twice the throughput, and the model
    loads in a quarter of the time. Each input and output has a batch dimension, because the batching of
    TensorFlow Serving refuses signatures without one (batching_session.cc).
    """
    height, width = contract.input.height, contract.input.width
    spec = tf.TensorSpec((None, height, width, 3), tf.uint8, name=PIXELS_TENSOR)
    outputs: list[str] = []

    def compute(pixels: Any) -> list[Any]:
        found = probabilities(tf.cast(pixels, tf.float32))
        named = found if isinstance(found, Mapping) else {PROBABILITIES_TENSOR: found}
        outputs[:] = sorted(named)
        return [named[name] for name in outputs]

    traced = tf.function(compute, input_signature=[spec])
    frozen = convert_variables_to_constants_v2(traced.get_concrete_function())
    classes = len(contract.classes)

    def explain(pixels: Any) -> dict[str, Any]:
        found = dict(zip(outputs, frozen(pixels), strict=True))
        found[PROBABILITIES_TENSOR] = tf.ensure_shape(found[PROBABILITIES_TENSOR], (None, classes))
        return found

    def serve(pixels: Any) -> dict[str, Any]:
        found = explain(pixels)
        # Both signatures call the same function, so the weights are stored once.
        return {name: tensor for name, tensor in found.items() if name != MAPS_TENSOR}

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[spec])
    module.contract = _text_function(contract.to_json())
    module.golden = _text_function(golden.to_json())
    signatures = {
        SERVING_SIGNATURE: module.serve,
        CONTRACT_SIGNATURE: module.contract,
        GOLDEN_SIGNATURE: module.golden,
    }
    if contract.explanation is not None:
        module.explain = tf.function(explain, input_signature=[spec])
        signatures[contract.explanation.signature] = module.explain
    tf.saved_model.save(
        module,
        str(folder),
        signatures=signatures,
        # A served model is never trained. The gradient of swish captures tensors, and could not be saved.
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )
    write_warmup(folder, contract)
    if trained_on is not None and len(trained_on):
        np.save(folder / TRAINED_ON_FILE, trained_on)


def write_warmup(folder: Path, contract: Contract) -> None:
    """Write the requests that TensorFlow Serving replays before the model becomes available."""
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        raise ModelError(
            "TensorFlow Serving's protobufs, which the warm-up requests need, are not installed. Run "
            "`make venv`, or `pip install --no-deps -r requirements/no-deps.txt`."
        ) from None
    file = folder / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    requests = []
    for batch in WARMUP_BATCHES:
        request = predict_pb2.PredictRequest()
        # A TensorProto repeats its last value, so one value fills the tensor (tensor.proto).
        pixels = request.inputs[PIXELS_TENSOR]
        pixels.dtype = tf.uint8.as_datatype_enum
        for size in (batch, contract.input.height, contract.input.width, 3):
            pixels.tensor_shape.dim.add(size=size)
        pixels.int_val.append(_MIDDLE_GREY)
        request.model_spec.signature_name = SERVING_SIGNATURE
        requests.append(request)
    for signature in (CONTRACT_SIGNATURE, GOLDEN_SIGNATURE):
        request = predict_pb2.PredictRequest()
        request.inputs[IGNORED_TENSOR].CopyFrom(tf.make_tensor_proto([0], tf.int32))
        request.model_spec.signature_name = signature
        requests.append(request)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for request in requests:
            request.model_spec.name = contract.name
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def load(folder: Path) -> ServedModel:
    """Load the folder of a version, or the highest version in the folder of a model.

    Raises ModelError when the folder has no version, or when the model breaks the contract.
    """
    folder = _version_folder(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ModelError(f"{folder} cannot be loaded as a SavedModel: {error}. Export it again.") from error
    signatures = loaded.signatures
    missing = [
        name for name in (SERVING_SIGNATURE, CONTRACT_SIGNATURE, GOLDEN_SIGNATURE) if name not in signatures
    ]
    if missing:
        raise ModelError(
            f"{folder} does not follow the model contract: the signature '{missing[0]}' is missing. "
            "Export it with `imageclassifier-training export`."
        )
    try:
        contract = parse_contract(_text(signatures[CONTRACT_SIGNATURE]))
        golden = parse_golden(_text(signatures[GOLDEN_SIGNATURE]))
    except ContractError as error:
        raise ModelError(f"{folder} breaks the model contract: {error}") from error
    # The signatures do not keep the loaded object alive.
    return ServedModel(folder, contract, golden, _Signatures(loaded), _trained_on(folder))


def _trained_on(folder: Path) -> NDArray[np.uint64]:
    try:
        stored = np.load(folder / TRAINED_ON_FILE, allow_pickle=False)
    except FileNotFoundError:
        return np.empty(0, np.uint64)
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / TRAINED_ON_FILE} is damaged: {error}. Export the model again.") from None
    return np.asarray(stored, dtype=np.uint64)


class _Signatures:
    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def __getitem__(self, name: str) -> Any:
        return self._loaded.signatures[name]

    def __iter__(self) -> Any:
        return iter(self._loaded.signatures)


def _version_folder(folder: Path) -> Path:
    if (folder / "saved_model.pb").is_file():
        return folder
    if not folder.exists():
        raise ModelError(f"{folder}: no such folder. Give the folder of a model, or of one of its versions.")
    versions = numbered(folder)
    if not versions:
        raise ModelError(
            f"{folder} has neither saved_model.pb nor a subfolder with a version number. "
            "Export a model with `imageclassifier-training export`."
        )
    return versions[max(versions)]


def _text_function(text: str) -> Any:
    def answer(ignored: Any) -> dict[str, Any]:
        return {JSON_TENSOR: tf.fill(tf.shape(ignored), tf.constant(text))}

    return tf.function(answer, input_signature=[tf.TensorSpec((None,), tf.int32, name=IGNORED_TENSOR)])


def _text(signature: Any) -> bytes:
    answer: bytes = signature(**{IGNORED_TENSOR: tf.constant([0])})[JSON_TENSOR].numpy()[0]
    return answer
