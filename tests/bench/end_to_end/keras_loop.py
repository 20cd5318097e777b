"""Keras without any server: decode a file and predict, one picture at a time, in a loop.

python keras_loop.py MODEL.keras SECONDS CONNECTIONS PICTURE        prints figures as JSON

CONNECTIONS is there for the same arguments as load.py, and is always 1.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))
import usage


def main() -> None:
    model, seconds = keras.models.load_model(sys.argv[1]), float(sys.argv[2])
    data = Path(sys.argv[4]).read_bytes()
    size = model.input_shape[1:3]
    latencies: list[float] = []

    def once() -> None:
        image = keras.utils.load_img(io.BytesIO(data), target_size=size)
        model.predict(keras.utils.img_to_array(image)[np.newaxis] / 127.5 - 1.0, verbose=0)

    for _ in range(3):
        once()
    began, cpu = time.monotonic(), time.process_time()
    while (start := time.monotonic()) - began < seconds:
        once()
        latencies.append(time.monotonic() - start)
    ordered = sorted(latencies)
    print(
        json.dumps(
            {
                "per_second": len(ordered) / (time.monotonic() - began),
                "p50_ms": 1000 * ordered[len(ordered) // 2],
                "p99_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
                "not_200": 0,
                "cpu_ms": 1000 * (time.process_time() - cpu) / len(ordered),
                "megabytes": usage.memory([os.getpid()])["Pss"],
            }
        )
    )


if __name__ == "__main__":
    main()
