"""The floor: decoding, resizing and one bare gRPC call in a loop, without HTTP and without checks.

A gateway with the same preprocessing and the same calls cannot be faster.

python floor.py MODEL_PORT PICTURE SECONDS        prints requests per second and CPU seconds per request
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import grpc
import numpy as np

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels import images
from imageclassifier_gateway.versions import tfserving_pb2 as pb
from imageclassifier_gateway.versions.model_server_client import put


def main() -> None:
    port, picture, seconds = sys.argv[1], Path(sys.argv[2]).read_bytes(), float(sys.argv[3])
    wanted = ModelInput(height=224, width=224)
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    predict = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=pb.PredictRequest.SerializeToString,
        response_deserializer=pb.PredictResponse.FromString,
    )

    def once() -> None:
        request = pb.PredictRequest()
        put(images.prepare(picture, wanted)[np.newaxis], request.inputs["pixels"])
        predict(request)

    for _ in range(5):
        once()
    count, began, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        once()
        count += 1
    elapsed = time.monotonic() - began
    print(json.dumps({"per_second": count / elapsed, "cpu_seconds": (time.process_time() - cpu) / count}))


if __name__ == "__main__":
    main()
