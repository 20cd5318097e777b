"""A model server with almost no cost: it returns the same bytes for each prediction, and counts the requests.

python fixed_answer_server.py PORT [ADDRESS]
"""

from __future__ import annotations

import json
import sys
from concurrent import futures

import grpc

from imageclassifier_gateway.versions import tfserving_pb2 as pb

CONTRACT = {
    "schema": 1,
    "name": "bench-model",
    "input": {"height": 224, "width": 224, "resize": "bilinear", "fit": "squash"},
    "classes": [
        {"name": "not_pizza", "message": "Not a pizza."},
        {"name": "pizza", "message": "It's a pizza!"},
    ],
    "threshold": 0.5,
}


def tensor(dtype: pb.DataType, shape: list[int], **values: object) -> pb.TensorProto:
    dims = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in shape])
    return pb.TensorProto(dtype=dtype, tensor_shape=dims, **values)  # type: ignore[arg-type]


PREDICTION = pb.PredictResponse(
    outputs={"probabilities": tensor(pb.DT_FLOAT, [1, 2], float_val=[0.1, 0.9])}
).SerializeToString()
CONTRACT_ANSWER = pb.PredictResponse(
    outputs={"json": tensor(pb.DT_STRING, [1], string_val=[json.dumps(CONTRACT).encode()])}
).SerializeToString()
STATUS = pb.GetModelStatusResponse(
    model_version_status=[pb.ModelVersionStatus(version=1, state=pb.ModelVersionStatus.AVAILABLE)]
).SerializeToString()


class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers with bytes made beforehand; requests are not parsed."""

    def __init__(self) -> None:
        self.predictions = 0
        self.prediction_bytes = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        methods = {"Predict": self.predict, "GetModelStatus": lambda *_: STATUS, "Counts": self.counts}
        method = methods.get(details.method.rsplit("/", 1)[1])
        return method and grpc.unary_unary_rpc_method_handler(method)

    def predict(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        if b"\x1a\x08contract" in request[-64:] or b"\x1a\x08contract" in request[:64]:
            return CONTRACT_ANSWER
        self.predictions += 1
        self.prediction_bytes += len(request)
        return PREDICTION

    def counts(self, *_: object) -> bytes:
        return json.dumps([self.predictions, self.prediction_bytes]).encode()


def main() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Handler(),))
    port, address = sys.argv[1], (sys.argv[2:] or ["127.0.0.1"])[0]
    server.add_insecure_port(f"{address}:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
