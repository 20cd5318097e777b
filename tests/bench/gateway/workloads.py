"""The request bodies: generated photographs, and the URL of one of them."""

from __future__ import annotations

import http.server
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image


def write(folder: Path, stack: ExitStack) -> dict[str, Path]:
    """Write the request bodies: two images, and the URL of the smaller one if this machine can serve it."""
    workloads = {"512 px JPEG": folder / "small.jpg", "12 MP JPEG": folder / "large.jpg"}
    workloads["512 px JPEG"].write_bytes(photo_like(512, 384))
    workloads["12 MP JPEG"].write_bytes(photo_like(4000, 3000))
    if address := private_address():
        port = stack.enter_context(picture_server(address, workloads["512 px JPEG"].read_bytes()))
        (folder / "url.json").write_text(json.dumps({"url": f"http://{address}:{port}/small.jpg"}))
        workloads["URL of it"] = folder / "url.json"
    else:
        print("No rows for a URL: gateways refuse loopback, and there is no other address (Docker adds one).")
    return workloads


def photo_like(width: int, height: int) -> bytes:
    """Draw a JPEG with about the detail of a photograph: clouds of several sizes and a little noise."""
    chance = np.random.default_rng(7)
    total = np.zeros((height, width, 3), dtype=np.float32)
    for cells, weight in ((4, 60), (16, 40), (64, 25), (256, 12)):
        small = chance.random((cells * 3 // 4, cells, 3)).astype(np.float32)
        for channel in range(3):
            layer = Image.fromarray(small[..., channel]).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += weight * (np.asarray(layer) - 0.5) * 2
    noisy = np.clip(total + 128 + chance.normal(0, 3, total.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


@contextmanager
def picture_server(address: str, picture: bytes) -> Iterator[int]:
    """Serve one image in a thread."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(picture)))
            self.end_headers()
            self.wfile.write(picture)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield int(server.server_address[1])
    server.shutdown()


def private_address() -> str | None:
    """An address of this machine in a private network, because a gateway never fetches from loopback."""
    found = re.findall(r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d+)+\b", _output("hostname", "-I"))
    return found[0] if found else None


def _output(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
