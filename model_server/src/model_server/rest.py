"""The REST server: status, metadata, predict, classify and regress over HTTP, and the metrics page.

Paths, codes and bodies follow http_rest_api_handler.cc and http_server.cc: errors are `{"error": "..."}`.
"""

import logging
import re
import threading
import time
from typing import Any
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict, MessageToJson
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from .core import ServerCore
from .flags import Options
from .grpc_services import model_status
from .inference import DEFAULT_SIGNATURE, Call, Inference, Model
from .json_examples import classification_body, fill_examples, regression_body
from .json_response import dump, predict_body
from .json_tensor import parse_body, predict_inputs, signature_name
from .model_metadata import metadata
from .status import HTTP_STATUS, Code, StatusError, invalid_argument
from .tensors import TensorParseError, decode, encode

_API = re.compile(r"/v1/.*", re.IGNORECASE)
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_METHOD = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<method>classify|regress|predict)", re.IGNORECASE
)
_STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?:/(?P<method>metadata))?", re.IGNORECASE)
_INT64 = 2**63


class RestApi:
    """Answers HTTP requests from the models of a core; a WSGI application."""

    def __init__(
        self, options: Options, core: ServerCore[Model], inference: Inference, metrics_path: str | None
    ) -> None:
        self._core = core
        self._inference = inference
        self._metrics_path = metrics_path
        self._cors = options.rest_api_enable_cors_support
        self._timeout_seconds = (
            options.rest_api_timeout_in_ms / 1000 if options.rest_api_timeout_in_ms > 0 else None
        )
        self._slots = threading.Semaphore(max(1, options.rest_api_num_threads))

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """The WSGI entry point; requests above --rest_api_num_threads wait."""
        request = Request(environ)
        with self._slots:
            response = self._answer(request)
        return response(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.path == self._metrics_path:
            return Response(self._inference.metrics.page(), content_type="text/plain")
        if not _API.fullmatch(request.path):
            return Response("<h1>Not Found</h1>\n", status=404, content_type="text/html")
        start = time.perf_counter()
        pattern = {"POST": _METHOD, "GET": _STATUS}.get(request.method)
        match = pattern.fullmatch(request.path) if pattern else None
        name = unquote((match["name"] or "") if match else "")
        method = (match["method"] or "").lower() if match else ""
        code = Code.OK
        try:
            if request.method == "OPTIONS":
                body = self._preflight(request)
            elif match is None:
                raise invalid_argument(f"Malformed request: {request.method} {request.path}")
            else:
                body = self._dispatch(request, name, method, match)
        except StatusError as error:
            code, body = error.code, dump({"error": error.message})
        metrics = self._inference.metrics
        if code is Code.OK:
            metrics.request_latency.add((time.perf_counter() - start) * 1e6, name, method, "REST")
        metrics.request_count.add(name, code.name)
        response = Response(body, status=HTTP_STATUS[code], content_type="application/json")
        if self._cors:
            response.headers["Access-Control-Allow-Origin"] = "*"
            response.headers["Access-Control-Allow-Methods"] = "POST, GET"
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        return response

    @staticmethod
    def _preflight(request: Request) -> str:
        if not re.search(r"https?://", request.headers.get("Origin", "")):
            raise StatusError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
        return ""

    def _dispatch(self, request: Request, name: str, method: str, match: re.Match[str]) -> str:
        if not name:
            raise invalid_argument("Missing model name in request.")
        if method == "predict":
            return self._predict(request, name, match)
        if method == "classify":
            classification = classification_pb2.ClassificationRequest()
            self._fill_examples(request, name, match, classification)
            with self._core.use(classification.model_spec) as (version, model):
                answer = self._inference.classify(model, classification, Call(version, self._timeout_seconds))
            return classification_body(answer.result)
        if method == "regress":
            regression = regression_pb2.RegressionRequest()
            self._fill_examples(request, name, match, regression)
            with self._core.use(regression.model_spec) as (version, model):
                answer = self._inference.regress(model, regression, Call(version, self._timeout_seconds))
            return regression_body(answer.result)
        if method == "metadata":
            return self._metadata(name, match)
        status_request = get_model_status_pb2.GetModelStatusRequest()
        _fill_model_spec(status_request.model_spec, name, match)
        return MessageToJson(
            model_status(self._core, status_request), indent=1, always_print_fields_with_no_presence=True
        )

    def _predict(self, request: Request, name: str, match: re.Match[str]) -> str:
        predict_request = predict_pb2.PredictRequest()
        _fill_model_spec(predict_request.model_spec, name, match)
        document = parse_body(request.get_data())
        predict_request.model_spec.signature_name = signature_name(document)
        with self._core.use(predict_request.model_spec) as (version, model):
            asked = predict_request.model_spec.signature_name or DEFAULT_SIGNATURE
            if asked not in model.signatures:
                raise invalid_argument(f'Serving signature name: "{asked}" not found in signature def')
            inputs = model.signatures[asked].inputs
            if not inputs:
                raise invalid_argument(f"Failed to get input map for signature: {asked}")
            try:
                arrays, answer_format = predict_inputs(
                    document, {alias: inputs[alias].dtype for alias in inputs}
                )
            except TensorParseError as error:
                raise invalid_argument(str(error)) from error
            for alias, array in arrays.items():
                encode(array, predict_request.inputs[alias], as_content=True)
            response = self._inference.predict(model, predict_request, Call(version, self._timeout_seconds))
        return predict_body(
            {alias: decode(proto) for alias, proto in response.outputs.items()}, answer_format
        )

    @staticmethod
    def _fill_examples(request: Request, name: str, match: re.Match[str], message: Any) -> None:
        _fill_model_spec(message.model_spec, name, match)
        document = parse_body(request.get_data())
        message.model_spec.signature_name = signature_name(document)
        fill_examples(document, message.input)

    def _metadata(self, name: str, match: re.Match[str]) -> str:
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        _fill_model_spec(request.model_spec, name, match)
        with self._core.use(request.model_spec) as (version, model):
            response = metadata(model, request, version)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        printing: dict[str, Any] = {
            "preserving_proto_field_name": True,
            "always_print_fields_with_no_presence": True,
        }
        return dump(
            {
                "model_spec": MessageToDict(response.model_spec, **printing),
                "metadata": {"signature_def": MessageToDict(signatures, **printing)},
            }
        )


def _fill_model_spec(model_spec: Any, name: str, match: re.Match[str]) -> None:
    model_spec.name = name
    if match["version"]:
        if int(match["version"]) >= _INT64:
            raise invalid_argument(f"Failed to convert version: {match['version']} to numeric.")
        model_spec.version.value = int(match["version"])
    if match["label"]:
        model_spec.version_label = unquote(match["label"])


class _Handler(WSGIRequestHandler):
    """Keeps connections alive, and does not log single requests, like TensorFlow Serving."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


def start_rest_server(port: int, address: str, api: RestApi) -> BaseWSGIServer:
    """Open the REST port; raises OSError when it is in use."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server(address, port, api, threaded=True, request_handler=_Handler)
    threading.Thread(target=server.serve_forever, name="rest", daemon=True).start()
    return server
