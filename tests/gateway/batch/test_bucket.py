"""A batch whose pictures are in a bucket: of a real S3 server, and of one that answers as a test wants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive_server import ArchiveServer, archive_server
from gateway_process import GatewayProcess
from gateway_testbed import picture
from imageclassifier_gateway.batch.__main__ import main
from s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> S3Server:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.upload(
            {
                "photographs/a.jpg": picture("red"),
                "photographs/2026/b.jpg": picture("blue"),
                "photographs/2026/empty/": b"",
                "photographs/list.csv": b"a.jpg",
                "other/c.jpg": picture("red"),
            }
        )
        yield server


def test_the_pictures_below_a_uri_are_classified(
    server: S3Server,
    shared_gateway: GatewayProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results.jsonl"

    def batch(uri: str, user: str) -> int:
        secret = server.secret(tmp_path / user, user)
        gateway = ["--gateway", f"http://127.0.0.1:{shared_gateway.port}", "--results", str(results)]
        bucket = ["--endpoint", server.endpoint, "--region", "us-east-1", "--credentials", str(secret)]
        return main(["--pictures", uri, *gateway, *bucket])

    assert batch("s3://models/photographs", "reader") == 0
    found = [json.loads(line) for line in results.read_text().splitlines()]
    assert {each["picture"]: each["label"] for each in found} == {"a.jpg": "pizza", "2026/b.jpg": "not_pizza"}
    assert batch("s3://models/photographs", "nobody") == 2
    refusal = capsys.readouterr().out.splitlines()[-1]
    assert refusal.startswith(
        "s3://models/photographs cannot be listed: the store responds with 403 Forbidden"
    )
    assert batch("s3://models/none", "reader") == 2
    assert "No picture was found in s3://models/none" in capsys.readouterr().out


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArchiveServer]:
    """A server with one picture, behind HTTPS with a private CA."""
    (tmp_path / "tls").mkdir()
    with archive_server(tmp_path / "tls") as store:
        store.files["/models"] = (
            b"<ListBucketResult><Contents><Key>photographs/a.jpg</Key><Size>7</Size><ETag>1</ETag>"
            b"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
        )
        yield store


def batch_of(store: ArchiveServer, results: Path, *options: str) -> int:
    """Run a batch with this store, and a gateway that does not answer."""
    bucket = ["--pictures", "s3://models/photographs", "--endpoint", store.url, "--region", "us-east-1"]
    return main([*bucket, "--gateway", "http://127.0.0.1:9", "--results", str(results), *options])


def test_a_store_that_is_overloaded_for_now_is_listed_by_the_next_run(
    store: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    store.answers["/models"] = [(503, {}, busy)] * 9
    assert batch_of(store, tmp_path / "results.jsonl", "--ca-file", str(store.ca_file)) == 1
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("s3://models/photographs cannot be listed now: the store responds with 503")
    assert "The next run continues." in line


def test_a_certificate_that_is_not_trusted_ends_the_batch(
    store: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch_of(store, tmp_path / "results.jsonl") == 2
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("s3://models/photographs cannot be listed: ")
    assert "the certificates" in line


def test_credentials_that_expire_end_the_batch_and_give_no_picture_a_line(
    store: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expired = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
    store.answers["/models/photographs/a.jpg"] = [(400, {}, expired)]
    results = tmp_path / "results.jsonl"
    assert batch_of(store, results, "--ca-file", str(store.ca_file)) == 2
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith(
        "s3://models/photographs cannot be read: the store responds with 400 Bad Request: ExpiredToken: The "
        "provided token has expired. Correct the URI, "
    )
    assert results.read_bytes() == b""


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("s3://models/photographs", "has no key AWS_SECRET_ACCESS_KEY, only AWS_ACCESS_KEY_ID. Add it."),
        ("gs://models/photographs", "has AWS_ACCESS_KEY_ID. It must have one entry whose name ends with"),
    ],
)
def test_messages_about_the_access_name_no_field_of_a_model(
    tmp_path: Path, uri: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "AWS_ACCESS_KEY_ID").write_text("key")
    gateway = ["--gateway", "http://127.0.0.1:9", "--results", str(tmp_path / "results.jsonl")]

    def line(*options: str) -> str:
        assert main(["--pictures", uri, *gateway, *options]) == 2
        return capsys.readouterr().out.splitlines()[-1]

    secret = line("--credentials", str(tmp_path / "secret"))
    refusal = f"{uri} cannot be opened. The Secret with the credentials of the bucket {sentence}"
    assert secret.startswith(refusal)
    (tmp_path / "secret" / "AWS_SECRET_ACCESS_KEY").write_text("key")
    (tmp_path / "secret" / "key.json").write_text("{}")
    missing = line("--credentials", str(tmp_path / "secret"), "--ca-file", str(tmp_path / "none.pem"))
    assert missing == (
        f"{uri} cannot be opened. The file {tmp_path / 'none.pem'} with the certificates of the bucket does "
        "not exist or contains no certificate in PEM form. Correct it."
    )
