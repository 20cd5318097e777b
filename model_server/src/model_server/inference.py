"""Predict, Classify and Regress on a loaded model: from request message to response message.

Checks and messages follow predict_util.cc, classifier.cc and regressor.cc. The TensorFlow runtime
reports what the graph itself refuses (a wrong dtype, most wrong shapes).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    predict_pb2,
    regression_pb2,
)

from .metrics import Metrics
from .signatures import predict_inputs, predict_outputs
from .status import Code, StatusError, invalid_argument
from .tensors import Array, encode

DEFAULT_SIGNATURE = "serving_default"
_METHOD_NAMES = {
    "Predict": "tensorflow/serving/predict",
    "Classify": "tensorflow/serving/classify",
    "Regress": "tensorflow/serving/regress",
}


class Session(Protocol):
    """Runs a graph: a SavedModelSession, or a BatchingSession around one."""

    def run(
        self, inputs: Mapping[str, Array], output_names: Sequence[str], timeout_seconds: float | None
    ) -> list[Array]:
        """Run the graph; inputs and outputs go by tensor name."""

    def close(self) -> None:
        """Free everything."""


@dataclass(frozen=True)
class Model:
    """A loaded version."""

    session: Session
    signatures: Mapping[str, Any]
    close_all: Callable[[], None]

    def close(self) -> None:
        """Free everything."""
        self.close_all()


@dataclass(frozen=True)
class Call:
    """The properties of a request beside its message."""

    version: int | None
    timeout_seconds: float | None


@dataclass(frozen=True)
class Inference:
    """The rules of the server that apply to every request."""

    metrics: Metrics
    checks_method_name: bool = False
    answers_as_tensor_content: bool = False

    def predict(self, model: Model, request: Any, call: Call) -> Any:
        """PredictRequest -> PredictResponse. Raises StatusError."""
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = model.signatures.get(name)
        if signature is None:
            raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        if self.checks_method_name and signature.method_name not in _METHOD_NAMES.values():
            raise StatusError(
                Code.INTERNAL,
                "Expected prediction signature method_name to be one of {"
                f"{', '.join(_METHOD_NAMES.values())}}}. Was: {signature.method_name}",
            )
        inputs = predict_inputs(signature, request.inputs)
        outputs = predict_outputs(signature, request.output_filter)
        response = predict_pb2.PredictResponse()
        _fill_model_spec(response.model_spec, request.model_spec, name, call.version)
        arrays = self._run(model, "Predict", request.model_spec.name, inputs, list(outputs.values()), call)
        for alias, array in zip(outputs, arrays, strict=True):
            encode(array, response.outputs[alias], self.answers_as_tensor_content)
        return response

    def classify(self, model: Model, request: Any, call: Call) -> Any:
        """ClassificationRequest -> ClassificationResponse. Raises StatusError."""
        name, signature = self._example_signature(model, request, "Classify", "classification")
        aliases = [alias for alias in ("classes", "scores") if alias in signature.outputs]
        if len(signature.outputs) not in (1, 2):
            raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
        if not aliases:
            raise invalid_argument(
                'Expected classification signature outputs to contain at least one of "classes" or "scores". '
                f"Signature was: {signature}"
            )
        arrays, count = self._run_examples(model, "Classify", request, signature, aliases, call)
        columns = dict(zip(aliases, arrays, strict=True))
        for alias, array in columns.items():
            if array.ndim != 2:
                raise invalid_argument(
                    f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}"
                )
            if array.shape[0] != count:
                raise invalid_argument(
                    f"Expected {alias} output batch size of {count}. Got: {array.shape[0]}"
                )
        if len({array.shape[1] for array in arrays}) > 1:
            raise invalid_argument(
                "Tensors class and score should match in dim_size(1). Got "
                f"{columns['classes'].shape[1]} vs. {columns['scores'].shape[1]}"
            )
        response = classification_pb2.ClassificationResponse()
        _fill_model_spec(response.model_spec, request.model_spec, name, call.version)
        for row in range(count):
            classes = response.result.classifications.add().classes
            for column in range(arrays[0].shape[1]):
                one = classes.add()
                if "classes" in columns:
                    one.label = columns["classes"][row, column]
                if "scores" in columns:
                    one.score = columns["scores"][row, column]
        return response

    def regress(self, model: Model, request: Any, call: Call) -> Any:
        """RegressionRequest -> RegressionResponse. Raises StatusError."""
        name, signature = self._example_signature(model, request, "Regress", "regression")
        if len(signature.outputs) != 1:
            raise invalid_argument("Expected one output Tensor.")
        if "outputs" not in signature.outputs:
            raise invalid_argument(f"No regression outputs found in SignatureDef: {signature}")
        (array,), count = self._run_examples(model, "Regress", request, signature, ["outputs"], call)
        if array.ndim != 1 and array.shape[1:] != (1,):
            raise invalid_argument(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
                f"{list(array.shape)}"
            )
        if array.shape[0] != count:
            raise invalid_argument(
                f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}"
            )
        response = regression_pb2.RegressionResponse()
        _fill_model_spec(response.model_spec, request.model_spec, name, call.version)
        for value in array.ravel().tolist():
            response.result.regressions.add(value=value)
        return response

    def _example_signature(self, model: Model, request: Any, api: str, noun: str) -> tuple[str, Any]:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = model.signatures.get(name)
        if signature is None:
            raise invalid_argument(f"No signature was found with the name: {name}")
        if self.checks_method_name and signature.method_name != _METHOD_NAMES[api]:
            raise invalid_argument(
                f"Expected {noun} signature method_name to be {_METHOD_NAMES[api]}. Was: "
                f"{signature.method_name}"
            )
        if len(signature.inputs) != 1:
            raise invalid_argument("Expected one input Tensor.")
        if "inputs" not in signature.inputs:
            raise invalid_argument(f"No {noun} inputs found in SignatureDef: {signature}")
        return name, signature

    def _run_examples(
        self, model: Model, api: str, request: Any, signature: Any, aliases: Sequence[str], call: Call
    ) -> tuple[list[Array], int]:
        examples = _serialized_examples(request.input)
        if not examples:
            raise invalid_argument("Input is empty.")
        self.metrics.request_example_counts.add(len(examples), request.model_spec.name)
        self.metrics.request_example_count_total.add(request.model_spec.name, amount=len(examples))
        inputs = {signature.inputs["inputs"].name: np.array(examples, np.object_)}
        outputs = [signature.outputs[alias].name for alias in aliases]
        return self._run(model, api, request.model_spec.name, inputs, outputs, call), len(examples)

    def _run(
        self,
        model: Model,
        api: str,
        model_name: str,
        inputs: Mapping[str, Array],
        output_names: Sequence[str],
        call: Call,
    ) -> list[Array]:
        start = time.perf_counter()
        arrays = model.session.run(inputs, output_names, call.timeout_seconds)
        self.metrics.runtime_latency.add((time.perf_counter() - start) * 1e6, model_name, api, "TF1")
        return arrays


def _fill_model_spec(answer: Any, asked: Any, signature_name: str, version: int | None) -> None:
    answer.name = asked.name
    answer.signature_name = signature_name
    if version is not None:
        answer.version.value = version


def _serialized_examples(message: Any) -> list[bytes]:
    if message.WhichOneof("kind") == "example_list_with_context":
        context = message.example_list_with_context.context.SerializeToString()
        return [context + e.SerializeToString() for e in message.example_list_with_context.examples]
    return [example.SerializeToString() for example in message.example_list.examples]
