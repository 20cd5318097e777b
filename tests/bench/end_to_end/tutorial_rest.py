"""The commonest tutorial: Flask decodes the picture with Keras, and sends float32 values as JSON over REST.

MODEL_URL=http://127.0.0.1:8501/v1/models/m:predict gunicorn --workers 3 tutorial_rest:app
"""

from __future__ import annotations

import os
from typing import Any

import requests
from flask import Flask, jsonify
from reference_gateway import CLASSES, pixels_of_request

app = Flask(__name__)


@app.get("/ready")
def ready() -> str:
    return "ready"


@app.post("/predict")
def predict() -> Any:
    payload = {"instances": [pixels_of_request().tolist()]}
    answer = requests.post(os.environ["MODEL_URL"], json=payload)
    answer.raise_for_status()
    probabilities = answer.json()["predictions"][0]
    best = probabilities.index(max(probabilities))
    return jsonify(label=CLASSES[best], probability=probabilities[best])
