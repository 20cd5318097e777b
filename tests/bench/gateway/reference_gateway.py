"""The reference: a gateway in the usual style: Flask, gunicorn's sync workers, TensorFlow's protobufs.

It does what tutorials do and no more: the picture is decoded at full size and resized with nearest (Keras'
default), sent as float32 values, and a URL is fetched with requests, unchecked. Any failure is a 500.

    MODEL_TARGET=127.0.0.1:8500 gunicorn --workers 2 --bind 127.0.0.1:9000 reference_gateway:app
"""

from __future__ import annotations

import io
import os
from functools import cache
from typing import Any

import grpc
import keras
import requests
import tensorflow as tf
from flask import Flask, jsonify, request
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

CLASSES = ("not_pizza", "pizza")

app = Flask(__name__)


@cache
def stub() -> Any:
    # Made in the worker, since a channel does not survive the fork.
    return prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(os.environ["MODEL_TARGET"])
    )


@app.get("/ready")
def ready() -> str:
    return "ready"


def pixels_of_request() -> Any:
    """The picture of the current request as float32 `(224, 224, 3)` from -1 to 1."""
    if request.is_json:
        data = requests.get(request.get_json()["url"]).content
    else:
        data = request.get_data()
    image = keras.utils.load_img(io.BytesIO(data), target_size=(224, 224))
    return keras.utils.img_to_array(image) / 127.5 - 1.0


@app.post("/predict")
def predict() -> Any:
    pixels = pixels_of_request()
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "bench-model"
    message.model_spec.signature_name = "serving_default"
    message.inputs["pixels"].CopyFrom(tf.make_tensor_proto(pixels[None], dtype=tf.float32))
    answer = stub().Predict(message, 10.0)
    probabilities = tf.make_ndarray(answer.outputs["probabilities"])[0]
    best = int(probabilities.argmax())
    return jsonify(label=CLASSES[best], probability=float(probabilities[best]))
