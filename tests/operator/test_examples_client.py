"""examples/predict_test.py against a real gateway."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_testbed import FakeModel, GatewayProcess, free_port, picture, routing

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


def test_what_is_no_picture_is_told_and_the_others_are_answered(
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


def test_a_gateway_that_is_not_there_is_named(tmp_path: Path) -> None:
    red = tmp_path / "red.jpg"
    red.write_bytes(picture("red"))
    port = free_port()
    done = ask(port, red)
    assert done.returncode == 1
    assert f"the gateway http://127.0.0.1:{port}/ cannot be reached" in done.stderr
