"""A canary of equal quality is never rolled back by what clients send, whatever they send.

A real gateway process and two versions of one model behind a model server that batches as in a cluster and
takes few calls at once. Half of the requests are for the candidate.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from PIL import Image
from private_address import private_address

from gateway_process import Answer, GatewayProcess, request
from gateway_testbed import picture
from imageclassifier_operator.api import Limits, RolloutSettings
from imageclassifier_operator.api.serving import Batching
from imageclassifier_operator.observe.gateway_client import parse_report
from imageclassifier_operator.render.model_server_config import batching_config
from imageclassifier_operator.rollout.figures import baseline, window
from imageclassifier_operator.rollout.reference import Reference
from imageclassifier_operator.rollout.traffic_comparison import Comparison
from real_model_server import make_models, running

#: So long that a slow machine answers in what is left after a late picture: the candidate then gets 2 s.
TIMEOUT_SECONDS = 10
#: Of these, 60 % are for URLs; a picture that comes so late leaves the model little more than the rest.
LATE_SECONDS = 5.8
#: Calls that the model server answers at once, less one thread that listens.
MODEL_CALLS = 8
MODEL = "tiny"
PREDICT = f"/v1/models/{MODEL}:predict"


@dataclass(frozen=True)
class World:
    """What an attack may use: the gateway, and a web server whose pictures come late or never."""

    gateway: GatewayProcess
    site: str

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return request(self.gateway.port, "POST", path, body, headers)

    def send_raw(self, *pieces: bytes, pause_seconds: float = 0.0, wait: bool = False) -> None:
        """Sends pieces of a request and then closes the connection, after the answer if `wait`."""
        with socket.create_connection(("127.0.0.1", self.gateway.port)) as line, contextlib.suppress(OSError):
            for piece in pieces:
                line.sendall(piece)
                time.sleep(pause_seconds)
            if wait:
                line.settimeout(3 * TIMEOUT_SECONDS)
                line.recv(65536)


def form(*files: bytes) -> tuple[bytes, dict[str, str]]:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="f"; filename="{i}"\r\n\r\n'.encode() + data + b"\r\n"
        for i, data in enumerate(files)
    ]
    return b"".join([*parts, b"--b--\r\n"]), {"Content-Type": "multipart/form-data; boundary=b"}


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def head(path: str, length: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n\r\n".encode()


def png(width: int, height: int) -> bytes:
    """A picture whose header promises this size, and which has no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def large_picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((2400, 1800), 90).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def many_pictures(world: World) -> None:
    for count in (9, 17, 20, 31, 32, 33):
        body, headers = form(*[picture("white")] * count)
        world.post("/predict", body, **headers)
        world.post(PREDICT, json.dumps({"instances": [b64(picture("black"))] * count}))


def broken_pictures(world: World) -> None:
    whole = picture("white")
    files = [b"", b"nonsense", whole[:100], whole[:-20], b"GIF89a", b"<svg/>", png(1, 1), png(60_000, 60_000)]
    for data in files:
        world.post("/predict", data)
        world.post(PREDICT, json.dumps({"instances": [b64(data)]}))
    body, headers = form(whole, *files, whole)
    world.post("/predict", body, **headers)


def wrong_json(world: World) -> None:
    json_type = {"Content-Type": "application/json"}
    for body in (
        b"{",
        b"[]",
        b"{}",
        b'{"url": 1}',
        b'{"urls": []}',
        b"[" * 5000,
        b'{"image": "?"}',
        b"\xff\xfe{",
    ):
        world.post("/predict", body, **json_type)
        world.post(PREDICT, body, **json_type)


def wrong_requests_in_tensorflow_servings_form(world: World) -> None:
    documents: list[dict[str, Any]] = [
        {"signature_name": "contract", "instances": [b64(picture("white"))]},
        {"signature_name": "no_such", "instances": [b64(picture("white"))]},
        {"instances": [[[0.5] * 3] * 4]},
        {"instances": [{"pixels": [[1, 2], [3]]}]},
        {"inputs": {"ignored": [1]}},
        {"inputs": {"pixels": "text"}},
        {"instances": []},
        {"instances": [{"b64": "?"}]},
        {"instances": [b64(b"\0" * 3072)]},
    ]
    for document in documents:
        world.post(PREDICT, json.dumps(document))
        world.post(f"/v1/models/{MODEL}/versions/2:predict", json.dumps(document))
        world.post("/v1/models/other:predict", json.dumps(document))


def slow_and_broken_off_bodies(world: World) -> None:
    data = large_picture()
    with ThreadPoolExecutor(16) as pool:
        for _ in range(6):
            pool.submit(world.send_raw, head("/predict", len(data)), data[: len(data) // 2])
            pool.submit(world.send_raw, head("/predict", len(data)), data)  # gone before the answer
            pool.submit(world.send_raw, head("/predict", len(data)), data[:1000], pause_seconds=1, wait=True)
            pool.submit(
                world.send_raw,
                head("/predict", len(data)),
                *(data[at : at + 100_000] for at in range(0, len(data), 100_000)),
                pause_seconds=0.2,
                wait=True,
            )


def urls_that_use_up_the_time(world: World) -> None:
    late, never = f"{world.site}/late.jpg", f"{world.site}/never.jpg"
    bodies = (
        [{"url": late}] * 8
        + [{"urls": [late] * 4}] * 4
        + [{"urls": [late, never]}] * 4
        + [{"url": never}] * 2
    )
    with ThreadPoolExecutor(len(bodies)) as pool:
        for body in bodies:
            pool.submit(world.post, "/predict", json.dumps(body), **{"Content-Type": "application/json"})


def more_at_once_than_the_model_server_takes(world: World) -> None:
    body, headers = form(*[picture("white")] * 32)
    with ThreadPoolExecutor(12 * MODEL_CALLS) as pool:
        for _ in range(30 * MODEL_CALLS):
            pool.submit(world.post, "/predict", body, **headers)


def the_same_request_id_again_and_again(world: World) -> None:
    for _ in range(20):
        world.post("/predict", picture("white"), **{"X-Request-ID": "fixed"})


ATTACKS: list[Callable[[World], None]] = [
    many_pictures,
    broken_pictures,
    wrong_json,
    wrong_requests_in_tensorflow_servings_form,
    slow_and_broken_off_bodies,
    urls_that_use_up_the_time,
    more_at_once_than_the_model_server_takes,
    the_same_request_id_again_and_again,
]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a web server whose pictures come late, or never."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ended.wait(LATE_SECONDS if "late" in self.path else 60)
            body = picture("white")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    address = private_address()
    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{address}:{server.server_port}"
    ended.set()
    server.shutdown()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model server with two equal versions, configured as the operator does it."""
    folder = tmp_path_factory.mktemp("models")
    make_models(folder, {(MODEL, 1): "good", (MODEL, 2): "good"})
    (folder / "batching.config").write_text(batching_config(Batching(), cpu_limit="2"))
    flags = ("--enable_batching=true", f"--batching_parameters_file={folder / 'batching.config'}")
    with running(folder, (MODEL,), *flags, f"--grpc_max_threads={MODEL_CALLS + 1}") as target:
        yield target


@pytest.fixture
def world(target: str, site: str, make_gateway: Callable[..., GatewayProcess]) -> World:
    gateway = make_gateway(
        GATEWAY_TIMEOUT_SECONDS=str(TIMEOUT_SECONDS), GATEWAY_URL_ALLOW_PRIVATE_NETWORKS="true"
    )
    versions = [{"version": version, "target": target, "percent": 50} for version in (1, 2)]
    routing = {"schema": 1, "revision": 1, "model": MODEL, "serving": 1, "versions": versions}
    return World(gateway.start_ready(json.dumps(routing)), site)


def versions_that_answer(world: World, count: int) -> list[int]:
    answers = [world.post("/predict", picture("white")) for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return [answer.json["model"]["version"] for answer in answers]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_a_canary_of_equal_quality_is_not_rolled_back_by(
    world: World, attack: Callable[[World], None]
) -> None:
    before = baseline([parse_report(world.gateway.rollout())])
    answered = versions_that_answer(world, 30)
    with contextlib.suppress(OSError, http.client.HTTPException):
        attack(world)
    answered += versions_that_answer(world, 30)
    assert set(answered) == {1, 2}
    document = world.gateway.rollout()
    for version in ("1", "2"):
        assert document["versions"][version]["errors"] == 0
        assert document["versions"][version]["requests"] >= answered.count(int(version))
    report = parse_report(document)
    candidate, serving = window(2, before, [report]), window(1, before, [report])
    rules = RolloutSettings(limits=Limits(error_rate_increase=0.0), min_requests=10)
    analysis = Comparison(2, candidate, 1, Reference(recent=serving, concurrent=True), rules)
    assert analysis.problem is None
