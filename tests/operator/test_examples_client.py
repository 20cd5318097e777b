"""examples/predict_test.py against a real gateway."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from free_ports import free_port

from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import picture, routing

CLIENT = Path(__file__).parents[2] / "examples/predict_test.py"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    model = FakeModel().start()
    process = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    try:
        yield process.start_ready(routing(model))
    finally:
        process.stop()
        model.stop()


def ask(port: int, *pictures: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(CLIENT), "--gateway", f"http://127.0.0.1:{port}/"]
    return subprocess.run([*command, *map(str, pictures)], capture_output=True, text=True, check=False)


def test_it_prints_one_answer_for_each_picture(gateway: GatewayProcess, tmp_path: Path) -> None:
    red, blue = tmp_path / "red.jpg", tmp_path / "blue.jpg"
    red.write_bytes(picture("red"))
    blue.write_bytes(picture("blue"))
    done = ask(gateway.port, red, blue)
    first, second = done.stdout.splitlines()
    assert first.startswith(f"{red}: It's a pizza! (pizza ")
    assert first.endswith("pizza-model version 1)")
    assert second.startswith(f"{blue}: Not a pizza. (not_pizza ")
    assert done.returncode == 0


def test_a_url_is_fetched_by_the_gateway_whose_refusal_is_shown(gateway: GatewayProcess) -> None:
    done = ask(gateway.port, "http://127.0.0.1:1/metadata.jpg")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("http://127.0.0.1:1/metadata.jpg: ")
    assert "HTTP status" not in done.stderr  # the problem's own sentence, not the bare status


def test_a_file_that_is_not_an_image_is_reported_and_the_others_are_classified(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    text, red = tmp_path / "notes.txt", tmp_path / "red.jpg"
    text.write_text("not a picture")
    red.write_bytes(picture("red"))
    done = ask(gateway.port, text, tmp_path / "missing.jpg", red)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        str(text),
        str(tmp_path / "missing.jpg"),
    ]
    assert "No such file" in done.stderr


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b"[]", b'{"prediction": "x"}'])
def test_a_server_that_is_not_a_gateway_is_reported(tmp_path: Path, body: bytes) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

    red = tmp_path / "red.jpg"
    red.write_bytes(picture("red"))
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = ask(server.server_port, red)
        server.shutdown()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{red}: what answers at http://127.0.0.1:{server.server_port}/ is no gateway of an image classifier"
    ]


@pytest.mark.parametrize(
    "gateway", ["http://localhost:abc", "http://local host", "http://[::1", "ftp://x", f"http://{'a' * 70}.x"]
)
def test_an_invalid_gateway_url_gives_a_one_line_error(tmp_path: Path, gateway: str) -> None:
    red = tmp_path / "red.jpg"
    red.write_bytes(picture("red"))
    command = [sys.executable, "-I", str(CLIENT), "--gateway", gateway, str(red)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert gateway in done.stderr


def test_an_empty_file_is_reported(gateway: GatewayProcess, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert ask(gateway.port, empty).stderr == f"{empty}: {empty} is empty\n"


def test_an_unreachable_gateway_is_named(tmp_path: Path) -> None:
    red = tmp_path / "red.jpg"
    red.write_bytes(picture("red"))
    port = free_port()
    done = ask(port, red)
    assert done.returncode == 1
    assert f"the gateway http://127.0.0.1:{port}/ cannot be reached" in done.stderr
