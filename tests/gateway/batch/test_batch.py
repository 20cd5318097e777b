"""A batch: the pictures of a folder through a real gateway into a file, also when runs are killed."""

from __future__ import annotations

import csv
import doctest
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fake_model import FakeModel
from gateway_process import GatewayProcess
from gateway_testbed import eventually, picture, routing
from imageclassifier_gateway.batch import asking, pace, pictures, running
from imageclassifier_gateway.batch.__main__ import main
from imageclassifier_gateway.batch.results import ResultsFile
from imageclassifier_gateway.model_files import retries
from key_secret import KeySecret, entry


def batch(url: str, folder: Path, results: Path, *options: str) -> int:
    return main(["--gateway", url, "--pictures", str(folder), "--results", str(results), *options])


def url_of(gateway: GatewayProcess) -> str:
    return f"http://127.0.0.1:{gateway.port}"


def rows(results: Path) -> dict[str, dict[str, Any]]:
    """The lines by picture; fails if a picture has two."""
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert len({each["picture"] for each in found}) == len(found)
    return {each.pop("picture"): each for each in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A red picture, a green one below, a damaged one, and files that are no pictures."""
    root = tmp_path / "pictures"
    for name, content in {
        "red.jpg": picture("red"),
        "2026/grün.PNG": picture("#00ff00", kind="PNG"),
        "2026/damaged.jpg": picture("red")[:200],
        "list.csv": b"red.jpg",
        ".thumbnails/red.jpg": picture("red"),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def test_each_picture_of_a_folder_gets_a_line_with_what_the_gateway_responds(
    shared_gateway: GatewayProcess, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results/2026.jsonl"
    assert batch(url_of(shared_gateway), folder, results) == 0
    found = rows(results)
    direct = shared_gateway.predict(picture("red")).json
    expected = {name: direct[name] for name in ("label", "prediction", "probability", "probabilities")}
    assert found.pop("red.jpg") == {**expected, "version": 1}
    assert found.pop("2026/grün.PNG")["label"] == "not_pizza"
    assert list(found) == ["2026/damaged.jpg"]
    assert found["2026/damaged.jpg"]["error"].startswith("The picture")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"3 pictures, 0 of them in {results} already. 2 other files are left out."
    assert lines[-1].startswith("Done: 3 of 3 pictures. This run: 1 ")
    assert lines[-1].endswith("by version 1; 1 without a prediction.")


def test_a_csv_file_has_the_labels_and_is_continued(
    shared_gateway: GatewayProcess, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.csv"
    assert batch(url_of(shared_gateway), folder, results) == 0
    (folder / "two\nlines.jpg").write_bytes(picture("blue"))
    for _ in range(2):
        assert batch(url_of(shared_gateway), folder, results) == 0
    with results.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    labels = {row["picture"]: row["label"] for row in table}
    assert len(table) == len(labels) == 4
    assert labels == {
        "red.jpg": "pizza",
        "2026/grün.PNG": "not_pizza",
        "2026/damaged.jpg": "",
        "two\\nlines.jpg": "not_pizza",
    }
    assert "Done: 4 of 4 pictures, 4 of them before. This run: none." in capsys.readouterr().out


def test_a_run_that_was_killed_continues_where_it_was(tmp_path: Path) -> None:
    model = FakeModel(delay_seconds=0.02).start()
    gateway = GatewayProcess(tmp_path).start_ready(routing(model))
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.jpg").write_bytes(picture(f"#{number:02x}0000"))
    program = [sys.executable, "-m", "imageclassifier_gateway.batch", "--gateway", url_of(gateway)]
    try:
        with subprocess.Popen([*program, "--pictures", folder, "--results", results]) as process:
            eventually(lambda: results.exists() and results.read_bytes().count(b"\n") > 5, "some results")
            process.send_signal(signal.SIGKILL)
        whole = results.read_bytes().rpartition(b"\n")[0].count(b"\n") + 1
        assert whole < 40
        with results.open("ab") as file:
            file.write(b'{"picture": "39.j')  # a line of which only a part was written
        with subprocess.Popen([*program, "--pictures", folder, "--results", results]) as process:
            eventually(lambda: results.read_bytes().count(b"\n") > whole + 3, "more results")
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 1
        assert batch(url_of(gateway), folder, results) == 0
        assert set(rows(results)) == {f"{number}.jpg" for number in range(40)}
        assert 40 <= len(model.requests) <= 40 + 2  # only those under way at the kill came twice
    finally:
        gateway.stop()
        model.stop()


def test_a_batch_with_a_key_waits_as_its_rate_demands_and_a_wrong_key_ends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeModel().start()
    secret = KeySecret(tmp_path / "keys", batch=entry("key", "rate=2 burst=1"))
    gateway = GatewayProcess(tmp_path, GATEWAY_API_KEYS_DIRECTORY=str(secret.folder))
    gateway.start_ready(routing(model))
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    for colour in ("red", "blue", "white"):
        (folder / f"{colour}.jpg").write_bytes(picture(colour))
    try:
        assert batch(url_of(gateway), folder, results) == 2
        assert results.read_bytes() == b""
        refusal = capsys.readouterr().out.splitlines()[-1]
        assert refusal.startswith("The gateway refuses the API key: ")
        monkeypatch.setenv("IMAGECLASSIFIER_API_KEY", "key")
        assert batch(url_of(gateway), folder, results) == 0
        assert {row["label"] for row in rows(results).values()} == {"pizza", "not_pizza"}
        assert "Waiting: The gateway responds with 429: " in capsys.readouterr().out
    finally:
        gateway.stop()
        model.stop()


def test_a_run_whose_volume_is_full_says_so_and_the_next_one_continues(
    shared_gateway: GatewayProcess, tmp_path: Path
) -> None:
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(picture(f"#{number:02x}0000"))
    limited = ["bash", "-c", 'ulimit -f 1 && exec "$@"', "bash"]  # 1 KiB
    program = [sys.executable, "-m", "imageclassifier_gateway.batch", "--gateway", url_of(shared_gateway)]
    full = subprocess.run(
        [*limited, *program, "--pictures", folder, "--results", results], capture_output=True, text=True
    )
    assert (full.returncode, full.stderr) == (1, "")
    assert full.stdout.splitlines()[-1] == (
        f"The results file {results} cannot be written: File too large. Make room on its volume. The next "
        "run continues."
    )
    assert batch(url_of(shared_gateway), folder, results) == 0
    assert set(rows(results)) == {f"{number}.jpg" for number in range(12)}


@pytest.fixture
def answers() -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers, one for each request.

    An answer is a status, a status with a body, or None to close the connection.
    """
    planned: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = planned.pop(0)
            if answer is None:
                self.close_connection = True
                return
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = answer if isinstance(answer, tuple) else (answer, {"label": "pizza"})
            body = json.dumps({"detail": f"As planned: {status}.", **document}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", planned
    server.shutdown()
    server.server_close()


def test_what_the_picture_has_not_caused_is_retried_and_the_rest_is_not(
    answers: tuple[str, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, planned = answers
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"picture")
    planned += [*[503] * 8, 200]  # a: no room for a while
    planned += [*[502] * 5]  # b: the model always fails
    planned += [422]  # c
    assert batch(url, folder, results, "--concurrency", "1") == 0
    assert planned == []
    found = rows(results)
    assert found["a"]["label"] == "pizza"
    assert found["b"] == {"error": "As planned: 502."}
    assert found["c"] == {"error": "As planned: 422."}
    assert "Waiting: The gateway responds with 503: As planned: 503." in capsys.readouterr().out


def test_a_refusal_of_a_picture_is_not_retried_after_a_failure(
    answers: tuple[str, list[Any]], tmp_path: Path
) -> None:
    url, planned = answers
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    (folder / "a").write_bytes(b"picture")
    planned += [502, 422, 200]
    assert batch(url, folder, results) == 0
    assert rows(results) == {"a": {"error": "As planned: 422."}}
    assert planned == [200]


@pytest.mark.parametrize("answer", [(200, {"status": "ok"}), 302, 404])
def test_a_server_that_is_no_gateway_ends_the_batch_without_a_line(
    answers: tuple[str, list[Any]], tmp_path: Path, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url, planned = answers
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    (folder / "a").write_bytes(b"picture")
    planned.append(answer)
    assert batch(url, folder, results) == 2
    status = answer[0] if isinstance(answer, tuple) else answer
    refusal = f"{url} has no classifier: it responds with {status}. Correct the URL."
    assert capsys.readouterr().out.splitlines()[-1] == refusal
    assert results.read_bytes() == b""


def test_a_picture_without_a_label_is_unsure_or_unfamiliar(
    answers: tuple[str, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, planned = answers
    folder, results, table = tmp_path / "pictures", tmp_path / "results.jsonl", tmp_path / "results.csv"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"picture")
    near, far = ({"distance": 1.5, "limit": 1.0, "familiar": familiar} for familiar in (True, False))
    responses = [
        (200, {"label": None, "prediction": "?"}),
        (200, {"label": None, "prediction": "?", "familiarity": near}),
        (200, {"label": None, "prediction": "?", "familiarity": far}),
    ]
    planned += responses
    assert batch(url, folder, results, "--concurrency", "1") == 0
    found = rows(results)
    assert [found[name]["label"] for name in ("a", "b", "c")] == ["unsure", "unsure", "unfamiliar"]
    assert found["c"]["familiarity"] == far
    assert "familiarity" not in found["a"]
    assert "This run: 2 unsure, 1 unfamiliar" in capsys.readouterr().out
    planned += responses
    assert batch(url, folder, table, "--concurrency", "1") == 0
    labels = [line.split(",")[1] for line in table.read_text().splitlines()]
    assert labels == ["label", "unsure", "unsure", "unfamiliar"]


def test_a_connection_that_the_gateway_has_closed_is_opened_again(
    answers: tuple[str, list[Any]], tmp_path: Path
) -> None:
    url, planned = answers
    folder, results = tmp_path / "pictures", tmp_path / "results.jsonl"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(b"picture")
    planned += [200, None, 200]
    assert batch(url, folder, results, "--concurrency", "1") == 0
    assert {row["label"] for row in rows(results).values()} == {"pizza"}


@pytest.mark.parametrize("module", [asking, pace, pictures, retries, running])
def test_the_examples_of_the_documentation_are_true(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("results.jsonl", "dear diary\n", "exists and is not the results of a batch"),
        ("results.csv", "image,label\n", "exists and is not the results of a batch"),
        ("results.txt", "", "must end with .jsonl or .csv"),
    ],
)
def test_another_file_is_not_written_over(
    folder: Path, tmp_path: Path, name: str, content: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    assert batch("http://127.0.0.1:9", folder, tmp_path / name) == 2
    assert sentence in capsys.readouterr().out
    assert (tmp_path / name).read_text() == content


def test_two_runs_do_not_write_one_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results.jsonl"
    with ResultsFile(results):
        assert batch("http://127.0.0.1:9", folder, results) == 1
    assert "Another run writes" in capsys.readouterr().out


def test_the_folder_of_the_file_system_is_not_read(tmp_path: Path) -> None:
    for name in ("b.jpg", "lost+found/a.jpg", "2026/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(pictures.Folder(tmp_path).names()) == ["b.jpg", "2026/c.jpg"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert batch("http://127.0.0.1:9", tmp_path, tmp_path / "results.jsonl") == 2
    assert "No picture was found in" in capsys.readouterr().out
    assert batch("http://127.0.0.1:9", tmp_path / "none", tmp_path / "results.jsonl") == 2
    assert "cannot be read: No such file or directory" in capsys.readouterr().out
