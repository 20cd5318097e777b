"""Scoring many images: resumable, with an error for each that cannot be read, and as the gateway predicts."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from drawn_images import smooth

from imageclassifier_gateway.contract import Decision
from imageclassifier_training.errors import DataError, TrainingError
from imageclassifier_training.exporting import saved_model
from imageclassifier_training.judging import contact_sheet, scoring
from imageclassifier_training.judging.score_table import ScoreTable
from imageclassifier_training.judging.scoring import Scored

Run = Callable[..., int]
Serve = Callable[[type[BaseHTTPRequestHandler]], str]


def decided(image: str, red: float = 0.75) -> Scored:
    label = "red" if red >= 0.5 else "blue"
    return Scored(image, Decision(label, label, max(red, 1 - red), {"blue": 1 - red, "red": red}))


def rows(table: Path) -> dict[str, dict[str, str]]:
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


class _Gateway(BaseHTTPRequestHandler):
    """Answers as the gateway's API does: a prediction, or a problem document.

    A JPEG is blue by a threshold for red of 0.7, and the gateway is unsure of it.
    """

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unsure = body.startswith(b"\xff\xd8")
        good = unsure or body.startswith(b"\x89PNG")
        answer = {"prediction": "It is red!", "label": "red", "probability": 0.9}
        answer["probabilities"] = {"blue": 0.1, "red": 0.9}
        if unsure:
            answer = {"prediction": "I don't know.", "label": None, "probability": 0.4}
            answer["probabilities"] = {"blue": 0.4, "red": 0.6}
        self.send_response(200 if good else 415)
        self.end_headers()
        self.wfile.write(json.dumps(answer if good else {"detail": "The file is not a picture."}).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server with this handler, and returns its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def gateway(serve: Serve) -> str:
    return serve(_Gateway)


def test_a_table_continues_where_a_killed_run_was(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with ScoreTable(path, "m 1") as table:
        table.add(Scored("zero.jpg", None, "The picture is empty."))
        for index in range(3):
            table.add(decided(f"{index}.jpg"))
    path.write_bytes(path.read_bytes()[:-30])  # the last line is half a line
    with ScoreTable(path, "m 1") as table:
        assert table.done == {"0.jpg", "1.jpg"}
        table.add(decided("2.jpg", 0.25))
    assert rows(path).keys() == {"0.jpg", "1.jpg", "2.jpg"}
    assert rows(path)["2.jpg"]["p(blue)"] == "0.750000"


def test_each_line_is_on_the_disk_before_the_next_image(tmp_path: Path) -> None:
    with ScoreTable(tmp_path / "scores.csv", "m 1") as table:
        table.add(decided("0.jpg"))
        assert "0.jpg" in rows(tmp_path / "scores.csv")


def test_the_table_of_another_model_or_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with ScoreTable(path, "m 1") as table:
        table.add(decided("0.jpg"))
    with pytest.raises(TrainingError, match="has the scores of m 1, and this is m 2"):
        ScoreTable(path, "m 2")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TrainingError, match="was not written by `score`"):
        ScoreTable(path, "m 1")
    assert path.read_text() == "a,b\n1,2\n"


def test_only_errors_still_make_a_table(tmp_path: Path) -> None:
    with ScoreTable(tmp_path / "scores.csv", "m 1") as table:
        table.add(Scored("zero.jpg", None, "The picture is empty."))
    assert rows(tmp_path / "scores.csv")["zero.jpg"]["error"] == "The picture is empty."


def test_sources_are_files_folders_without_litter_and_urls(data_dir: Path) -> None:
    (data_dir / "blue" / "Thumbs.db").write_bytes(b"x")
    url = "https://example.org/photo.jpg"
    found = list(scoring.images([str(data_dir), url, str(data_dir / "red" / "0.png")]))
    assert len(found) == 18
    assert found[16] == url
    with pytest.raises(DataError, match="no such file or folder"):
        list(scoring.images([str(data_dir / "nowhere")]))


def test_a_gateway_classifies_and_its_problems_are_errors_of_single_images(
    data_dir: Path, gateway: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"M\xfcller.png")
    (data_dir / "blue" / "0.png").rename(data_dir / "blue" / name)
    (data_dir / "blue" / "a.txt").write_text("text")
    table, sheet = tmp_path / "scores.csv", tmp_path / "sheet.html"
    arguments = ["score", "--gateway", gateway, data_dir, "--csv", table, "--html", sheet]
    assert run(*arguments) == 3
    shown = capsys.readouterr()
    assert "Classified 16 images: 16 red." in shown.out
    assert "1 image could not be classified. The column error of " in shown.err
    assert rows(table)[str(data_dir / "blue" / "a.txt")]["error"] == "The file is not a picture."
    assert rows(table)[str(data_dir / "blue" / name)]["message"] == "It is red!"
    assert r"M\xfcller.png" in sheet.read_text()
    (data_dir / "blue" / "a.txt").unlink()
    assert run(*arguments) == 0
    assert "Classified 0 images. 16 were in the file before." in capsys.readouterr().out


def test_the_url_of_predict_is_taken_for_that_of_its_gateway(data_dir: Path, gateway: str) -> None:
    (found,) = scoring.with_gateway(f"{gateway}/predict/", [str(data_dir / "red" / "0.png")])
    assert found.decision is not None


def test_a_model_beside_a_gateway_is_refused(
    data_dir: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "saved_model.pb").touch()
    arguments = ["--gateway", "http://127.0.0.1:9", tmp_path, data_dir, "--csv", tmp_path / "scores.csv"]
    assert run("score", *arguments) == 1
    assert f"the gateway classifies, and {tmp_path} is a model" in capsys.readouterr().err


class _Web(BaseHTTPRequestHandler):
    """Serves a picture at one path, and something that is not HTTP everywhere else."""

    def do_GET(self) -> None:
        if self.path == "/two%20words%20caf%C3%A9.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"\x89PNG")
        else:
            self.wfile.write(b"this is not HTTP\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_url_with_spaces_and_letters_beyond_ascii_is_fetched(serve: Serve) -> None:
    assert scoring.read(f"{serve(_Web)}/two words café.png") == b"\x89PNG"


@pytest.mark.parametrize("address", ["/other.png", ":port/photo.png"])
def test_a_url_that_cannot_be_fetched_is_an_error_of_its_image(
    serve: Serve, exported: Path, tmp_path: Path, address: str
) -> None:
    url = f"{serve(_Web)}{address}" if address.startswith("/") else f"http://127.0.0.1{address}"
    (found,) = scoring.with_model(saved_model.load(exported), [url])
    assert "the URL cannot be fetched" in found.error
    with ScoreTable(tmp_path / "scores.csv", "m 1") as table:
        table.add(decided(url))
    assert url.rpartition("/")[2] in contact_sheet.render(tmp_path / "scores.csv", "m 1")


def test_a_gateway_that_does_not_answer_is_an_error_of_each_image(data_dir: Path) -> None:
    image = str(data_dir / "red" / "0.png")
    (found,) = scoring.with_gateway("http://127.0.0.1:9", [image])
    assert found.decision is None
    assert found.error.startswith("the gateway cannot be reached at http://127.0.0.1:9/predict (")


class _Other(BaseHTTPRequestHandler):
    """A server that is no gateway: it answers with JSON, HTML or something that is not HTTP."""

    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(self.answer)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.0 200 OK\r\n\r\n{"status": "ok"}',
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        b"this is not HTTP\r\n\r\n",
    ],
)
def test_a_server_that_is_no_gateway_is_an_error_of_each_image(
    data_dir: Path, serve: Serve, answer: bytes
) -> None:
    url = serve(type("Answers", (_Other,), {"answer": answer}))
    (found,) = scoring.with_gateway(url, [str(data_dir / "red" / "0.png")])
    assert found.error == f"{url}/predict returned no prediction. Check the URL of --gateway."


def test_a_prediction_without_a_label_counts_for_the_class_that_the_gateway_chose(
    gateway: str, tmp_path: Path
) -> None:
    smooth(1).save(tmp_path / "unsure.jpg")
    (found,) = scoring.with_gateway(gateway, [str(tmp_path / "unsure.jpg")])
    assert found.decision is not None
    assert (found.decision.label, found.decision.probability) == ("blue", 0.4)
    assert found.decision.message == "I don't know."


def test_a_model_scores_as_predict_does(
    exported: Path, shared_data: Path, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, red = tmp_path / "scores.csv", shared_data / "red" / "0.png"
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert run("score", exported, shared_data, tmp_path / "empty.jpg", "--csv", table) == 3
    capsys.readouterr()
    assert run("predict", exported, red, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert rows(table)[str(red)]["label"] == answer["label"]
    assert float(rows(table)[str(red)]["probability"]) == pytest.approx(answer["probability"], abs=1e-4)
    assert "empty" in rows(table)[str(tmp_path / "empty.jpg")]["error"]


def test_a_contact_sheet_survives_images_that_are_gone(tmp_path: Path) -> None:
    with ScoreTable(tmp_path / "scores.csv", "m 1") as table:
        table.add(decided(str(tmp_path / "gone.jpg")))
    assert "gone.jpg" in contact_sheet.render(tmp_path / "scores.csv", "m 1")
