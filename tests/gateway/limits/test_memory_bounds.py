"""The gateway counts the memory that a small request expands to, or refuses the request first."""

from __future__ import annotations

import base64
import io
import json
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fake_model import FakeModel
from gateway_process import GatewayProcess, request
from gateway_testbed import eventually, picture, routing, write_atomically
from imageclassifier_gateway.api.app import create_app
from imageclassifier_gateway.api.forms import read_form
from imageclassifier_gateway.api.payload import decode_base64, parse_json_object, read_json
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.gateway import build_gateway
from imageclassifier_gateway.problems import Problem

MEGABYTE = 1024 * 1024


def test_json_of_many_values_is_refused_before_it_is_parsed() -> None:
    body = b'{"urls": [' + b"[]," * 40_000 + b"[]]}"
    with pytest.raises(Problem, match="more than 70,000 values"):
        parse_json_object(body)


def test_commas_inside_urls_do_not_count_as_values() -> None:
    urls = [f"http://pictures.example/{index}?box={',' * 2_000}" for index in range(32)]
    assert len(read_json(json.dumps({"urls": urls}).encode(), 32).sources) == 32


@pytest.mark.parametrize("wide", [r"\ud83c\udf55", "🍕"], ids=["escaped", "as it is"])
def test_long_json_holds_no_character_that_would_make_all_others_wide(wide: str) -> None:
    body = json.dumps({"image": "A" * MEGABYTE}).replace("AAAA", wide, 1).encode()
    with pytest.raises(Problem, match="must be all ASCII"):
        parse_json_object(body)


def test_a_large_picture_whose_plus_signs_are_escaped_is_read() -> None:
    """As .NET writes base64 in JSON."""
    data = b"\xfb\xef\xbe" * MEGABYTE
    escaped = json.dumps({"image": base64.b64encode(data).decode()}).replace("+", r"\u002b")
    [source] = read_json(escaped.encode(), 32).sources
    assert source.data == data  # type: ignore[union-attr]


def test_base64_in_many_lines_takes_no_more_than_a_few_times_its_size() -> None:
    text = "AA AA\r\n" * 300_000
    tracemalloc.start()
    decode_base64(text, "image")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(text)


def test_base64_with_non_ascii_characters_is_refused() -> None:
    with pytest.raises(Problem, match="'image' is not valid base64"):
        decode_base64("AAAé", "image")


@pytest.mark.parametrize("line", [b"A: b\r\n", b"\t\r\n"])
def test_the_head_of_a_part_is_refused_when_it_is_long(line: bytes) -> None:
    form = (
        b"--x\r\nContent-Disposition: form-data; name=f; filename=a\r\n"
        + line * 100_000
        + b"\r\nA\r\n--x--\r\n"
    )
    with pytest.raises(Problem, match="headers of a part of the form exceed 4,096 bytes"):
        read_form(form, "x", 8)


def test_clients_that_only_declare_large_bodies_reserve_no_memory(
    make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    gateway = make_gateway(GATEWAY_MAX_IMAGE_BYTES="2000000").start_ready(routing(model))
    announced = Settings(max_image_bytes=2_000_000).max_body_bytes
    senders = []
    try:
        for _ in range(8):
            sender = socket.create_connection(("127.0.0.1", gateway.port))
            sender.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % announced)
            senders.append(sender)
        eventually(lambda: "_connections 8.0" in gateway.metrics(), "all of them are read")
        large = picture() + bytes(1_500_000)  # what follows the picture is not looked at
        assert gateway.predict(large).status == 200
    finally:
        for sender in senders:
            sender.close()


def test_small_bodies_of_unknown_length_do_not_count_as_large_ones(
    make_gateway: Callable[..., GatewayProcess], model: FakeModel
) -> None:
    """All spellings of the encoding that clients use."""
    gateway = make_gateway(GATEWAY_MAX_IMAGE_BYTES="2000000").start_ready(routing(model))
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    waiting = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(6)]
    try:
        for sender in waiting:
            sender.sendall(head + b"2\r\n\xff\xd8\r\n")
        eventually(lambda: "_connections 6.0" in gateway.metrics(), "all of them are read")
        chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(picture()), picture())
        answer = request(gateway.port, "POST", "/predict", chunks, {"Transfer-Encoding": "Chunked"})
        assert answer.status == 200
    finally:
        for sender in waiting:
            sender.close()


def test_tiny_pictures_that_would_become_large_tensors_are_refused_when_memory_is_short(
    tmp_path: Path, model: FakeModel
) -> None:
    gateway = build_gateway(Settings(routing_file=tmp_path / "routing.json"))
    write_atomically(gateway.settings.routing_file, routing(model))
    gateway.start()
    try:
        eventually(lambda: gateway.unready_reason() is None, "the gateway is ready")
        client = create_app(gateway).test_client()
        buffer = io.BytesIO()
        Image.new("RGB", (1, 1)).save(buffer, "PNG")

        def send(count: int) -> int:
            files = [(io.BytesIO(buffer.getvalue()), f"{index}.png") for index in range(count)]
            return client.post("/predict", data={"file": files}).status_code

        with gateway.admission.enter() as others:
            others.hold(gateway.settings.max_buffered_bytes - 60_000)
            assert send(2) == 200
            before = len(model.requests)
            assert send(32) == 503
            assert len(model.requests) == before
        assert send(32) == 200
    finally:
        gateway.stop()


FILL_THE_BUDGET = """
import io, sys, threading, types
from flask import Flask
from prometheus_client import Gauge
from imageclassifier_gateway.limits.admission import Admission
from imageclassifier_gateway.config import Settings
from imageclassifier_gateway.api.exchange import Exchange
from imageclassifier_gateway.problems import Problem

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

content_type, body = sys.argv[1], sys.stdin.buffer.read()
settings = Settings(max_image_bytes=8 * 1024 * 1024)
gauge = Gauge("unregistered", "No figure of a test.", registry=None)
admission = Admission(16, settings.max_buffered_bytes, gauge, gauge)
exchange = Exchange(types.SimpleNamespace(settings=settings), admission)
app, all_read, read = Flask("test"), threading.Barrier(12), []

def request():
    stream = io.BytesIO(body)
    environ = {"input_stream": stream, "content_type": content_type, "content_length": len(body)}
    with app.test_request_context("/predict", method="POST", **environ), admission.enter() as ticket:
        try:
            payload = exchange.read_payload(ticket)
            read.append(len(payload.sources))
        except Problem as problem:
            assert problem.cause == "overloaded", problem.detail
        all_read.wait(60)

with open("/proc/self/clear_refs", "w") as marks:
    marks.write("5")  # the peak counts from here on (proc(5))
before = memory("VmRSS")
threads = [threading.Thread(target=request) for _ in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(read), (memory("VmHWM") - before) / settings.max_buffered_bytes)
"""


def large_form() -> tuple[str, bytes]:
    part = b'--XyZ\r\nContent-Disposition: form-data; name="f"; filename="p.jpg"\r\n\r\n%s\r\n'
    return "multipart/form-data; boundary=XyZ", part % bytes(7_000_000) * 2 + b"--XyZ--\r\n"


def large_json() -> tuple[str, bytes]:
    return "application/json", json.dumps({"image": base64.b64encode(bytes(7_000_000)).decode()}).encode()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of the memory from Linux's /proc")
@pytest.mark.parametrize("make", [large_form, large_json])
def test_bodies_that_are_read_at_the_same_time_take_no_more_memory_than_the_budget(
    make: Callable[[], tuple[str, bytes]],
) -> None:
    content_type, body = make()
    command = [sys.executable, "-c", FILL_THE_BUDGET, content_type]
    output = subprocess.run(command, input=body, capture_output=True, check=True).stdout.split()
    requests, share = int(output[0]), float(output[1])
    assert requests >= 1
    assert share < 1.1  # threads and their stacks
