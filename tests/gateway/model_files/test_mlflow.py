"""A model of an MLflow registry is downloaded by its number; an alias is resolved once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_server import ArchiveServer, archive_server
from archives import written
from imageclassifier_gateway.model_files import retries
from imageclassifier_gateway.model_files.__main__ import main
from imageclassifier_gateway.model_files.storage import choice
from imageclassifier_gateway.model_files.storage import mlflow as mlflow_module
from mlflow_server import MlflowServer, mlflow_server

MODEL = {"saved_model.pb": b"graph" * 9_000, "variables/variables.index": b"index"}
BELOW = {f"3/{name}": content for name, content in MODEL.items()}
DOWNLOAD_URI = "/api/2.0/mlflow/model-versions/get-download-uri"


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """The server, with the same files as versions 1 and 2."""
    files = tmp_path_factory.mktemp("model")
    for name, content in MODEL.items():
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_bytes(content)
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        server.register(files)
        yield server


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Runs the program for version 3, and returns its exit code and the last line of its output."""
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)
    out, log = tmp_path / "out", tmp_path / "termination-log"
    out.mkdir()

    def run(endpoint: str, uri: str, **changed: str) -> tuple[int, str]:
        log.write_text("")
        given = {"--uri": uri, "--endpoint": endpoint, "--out": str(out), "--termination-log": str(log)}
        given |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        code = main(["storage", "--version", "3", *(word for pair in given.items() for word in pair)])
        output = capsys.readouterr()
        return code, (output.err or output.out).splitlines()[-1]

    return run


@pytest.mark.parametrize("number", [1, 2], ids=["files of a run", "a logged model"])
def test_the_files_of_a_registered_version_become_the_directory_of_the_version(
    mlflow: MlflowServer, fetch: Fetch, tmp_path: Path, number: int
) -> None:
    code, message = fetch(mlflow.endpoint, f"models:/our flowers/{number}")
    assert code == 0, message
    assert written(tmp_path / "out") == BELOW


def test_an_alias_is_resolved_to_a_number_that_stays_when_the_alias_moves(
    mlflow: MlflowServer, fetch: Fetch, tmp_path: Path
) -> None:
    mlflow.move_alias(2)
    resolved = (6, "models:/our flowers@best is version 2.")
    assert fetch(mlflow.endpoint, "models:/our flowers@best") == resolved
    assert (tmp_path / "termination-log").read_text() == "version 2"
    assert written(tmp_path / "out") == {}
    mlflow.move_alias(1)
    code, message = fetch(mlflow.endpoint, "models:/our flowers@best", alias_version="2")
    assert code == 0, message
    assert written(tmp_path / "out") == BELOW


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("models:/roses/1", "404 Not Found: RESOURCE_DOES_NOT_EXIST"),
        ("models:/our flowers/9", "404 Not Found: RESOURCE_DOES_NOT_EXIST"),
        ("models:/our flowers@worst", "worst"),
    ],
)
def test_what_is_not_registered_is_refused_with_the_words_of_the_server(
    mlflow: MlflowServer, fetch: Fetch, uri: str, sentence: str
) -> None:
    code, message = fetch(mlflow.endpoint, uri)
    assert code == 5
    assert message.startswith(uri)
    assert sentence in message
    assert message.endswith(
        "correct spec.model.source.storage.uri, spec.model.source.storage.endpoint and spec.model.version."
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    """A server that says what a test wants, behind HTTPS with a private CA."""
    with archive_server(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.mark.parametrize(
    ("keys", "header"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "abc\n"}, "Bearer abc"),
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "my"}, "Basic bWU6bXk="),
    ],
)
def test_the_credentials_of_the_secret_are_sent_and_a_refusal_names_the_secret(
    other: ArchiveServer, fetch: Fetch, tmp_path: Path, keys: dict[str, str], header: str
) -> None:
    (tmp_path / "secret").mkdir()
    for name, value in keys.items():
        (tmp_path / "secret" / name).write_text(value)
    denied = json.dumps({"error_code": "PERMISSION_DENIED", "message": "Not yours."}).encode()
    other.answers[DOWNLOAD_URI] = [(403, {}, denied)]
    secret = {"ca_file": str(other.ca_file), "credentials": str(tmp_path / "secret")}
    code, message = fetch(other.url, "models:/flowers/7", **secret)
    assert other.requests[-1]["authorization"] == header
    assert code == 5
    assert "403 Forbidden: PERMISSION_DENIED: Not yours. Correct the Secret in" in message
    other.answers[DOWNLOAD_URI] = [(401, {}, b"<p>Log in.</p>")]
    code, message = fetch(other.url, "models:/flowers/7", ca_file=str(other.ca_file))
    assert "authorization" not in other.requests[-1]
    assert "401 Unauthorized: Log in. Set spec.model.source.storage.credentialsFrom to a Secret" in message


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b'{"artifact_uri": "file:///mlruns/1/model"}', "in file:///mlruns/1/model, which cannot be read"),
        (b'{"artifact_uri": "mlflow-artifacts://elsewhere/1/m"}', "which cannot be read from here"),
        (b"<html>", "does not answer as an MLflow tracking server does"),
        (
            b'{"artifact_uri": "s3://models/flowers"}',
            "The Secret in spec.model.source.storage.credentialsFrom",
        ),
    ],
)
def test_files_that_cannot_be_reached_are_refused(
    other: ArchiveServer, fetch: Fetch, tmp_path: Path, answer: bytes, sentence: str
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "AWS_ACCESS_KEY_ID").write_text("key")  # without the secret key
    other.answers[DOWNLOAD_URI] = [(200, {}, answer)]
    secret = {"ca_file": str(other.ca_file), "credentials": str(tmp_path / "secret")}
    code, message = fetch(other.url, "models:/flowers/7", **secret)
    assert code == 5
    assert sentence in message


def test_the_listing_of_too_many_files_in_too_many_directories_ends(
    other: ArchiveServer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (choice, mlflow_module):
        monkeypatch.setattr(module, "MAX_FILES", 3)
    other.answers[DOWNLOAD_URI] = [(200, {}, b'{"artifact_uri": "mlflow-artifacts:/1/model"}')]
    listing = {"files": [{"path": "a", "file_size": 1}, {"path": "below", "is_dir": True}]}
    other.files["/api/2.0/mlflow-artifacts/artifacts"] = json.dumps(listing).encode()
    before = len(other.requests)
    code, message = fetch(other.url, "models:/flowers/7", ca_file=str(other.ca_file))
    assert code == 5
    assert message.startswith("models:/flowers/7 has more than 3 files.")
    assert len(other.requests) - before == 1 + 4
