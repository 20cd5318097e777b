"""A model in Google Cloud Storage is downloaded over its XML API, which a small server speaks here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_server import ArchiveServer, archive_server
from imageclassifier_gateway.model_files import retries
from imageclassifier_gateway.model_files.__main__ import main

MODEL = {"saved_model.pb": b"graph", "variables/variables.index": b"index"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)
    (tmp_path / "tls").mkdir()
    with archive_server(tmp_path / "tls") as server:
        yield server


def upload(server: ArchiveServer, directory: str) -> None:
    entries = []
    for name, content in MODEL.items():
        server.files[f"/models/{directory}/{name}"] = content
        entries.append(
            f"<Contents><Key>{directory}/{name}</Key><Size>{len(content)}</Size><ETag>1</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        )
    listing = f"<ListBucketResult>{''.join(entries)}</ListBucketResult>".encode()
    server.answers["/models"] = [(200, {}, listing)]
    for name, content in MODEL.items():
        headers = {"ETag": "1", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        server.answers[f"/models/{directory}/{name}"] = [(200, headers, content)]


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def fetch(server: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    (tmp_path / "out").mkdir()

    def run(*more: str) -> tuple[int, str]:
        given = ["--uri", "gs://models/flowers/3", "--endpoint", server.url, "--ca-file", str(server.ca_file)]
        code = main(["storage", "--version", "3", "--out", str(tmp_path / "out"), *given, *more])
        output = capsys.readouterr()
        return code, (output.err or output.out).splitlines()[-1]

    return run


def secret(directory: Path, **files: str) -> str:
    directory.mkdir()
    for name, text in files.items():
        (directory / name.replace("_json", ".json")).write_text(text)
    return str(directory)


def test_a_model_is_downloaded_with_the_key_of_a_service_account(
    server: ArchiveServer, fetch: Fetch, tmp_path: Path
) -> None:
    upload(server, "flowers/3")
    # Google's own servers are not reachable here, so the key says that no token is needed.
    fields = {"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": True}
    key = json.dumps({**fields, "gcs_base_url": server.url})
    code, message = fetch("--credentials", secret(tmp_path / "secret", key_json=key))
    assert code == 0, message
    out = tmp_path / "out" / "3"
    assert {name: (out / name).read_bytes() for name in MODEL} == MODEL


def test_without_a_secret_outside_of_google_the_requests_are_anonymous(
    server: ArchiveServer, fetch: Fetch
) -> None:
    denied = b"<Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>"
    server.answers["/models"] = [(401, {}, denied)]
    code, message = fetch()
    assert code == 5
    assert "401 Unauthorized: AccessDenied: Access denied. The request had no credentials." in message
    assert "authorization" not in server.requests[0]


def test_a_missing_bucket_is_in_the_words_of_the_store(server: ArchiveServer, fetch: Fetch) -> None:
    missing = b"<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist.</Message></Error>"
    server.answers["/models"] = [(404, {}, missing)]
    code, message = fetch()
    assert code == 5
    assert "404 Not Found: NoSuchBucket: The bucket does not exist. Create the bucket" in message


def test_a_secret_without_a_key_is_refused(fetch: Fetch, tmp_path: Path) -> None:
    code, message = fetch("--credentials", secret(tmp_path / "secret", token="x"))
    assert code == 5
    assert "has token. It must have one entry whose name ends with .json" in message
