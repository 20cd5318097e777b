"""The archive of a model is downloaded over HTTPS, continued when it breaks, and unpacked safely."""

from __future__ import annotations

import hashlib
import random
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive_server import ArchiveServer, archive_server
from archives import tar, written, zipped
from imageclassifier_gateway.model_files import retries, unpacking
from imageclassifier_gateway.model_files.__main__ import main

MODEL = {"saved_model.pb": random.Random(7).randbytes(25_000), "variables/variables.index": b"index"}


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    with archive_server(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
def server(running: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> ArchiveServer:
    """The server as it starts, and downloads that do not wait before they are repeated."""
    running.files, running.answers, running.breaks, running.requests = {}, {}, [], []
    running.supports_ranges = True
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)
    return running


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def fetch(server: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    """Runs the program, and returns its exit code and the last line of its output."""

    def run(content: bytes, path: str = "/m.tar.gz", *more: str, **changed: str) -> tuple[int, str]:
        server.files.setdefault("/m.tar.gz", content)
        given = {
            "--url": server.url + path,
            "--sha256": hashlib.sha256(content).hexdigest(),
            "--ca-file": str(server.ca_file),
            **{f"--{key.replace('_', '-')}": value for key, value in changed.items()},
        }
        arguments = [word for pair in given.items() for word in pair]
        code = main(["download", "--version", "3", "--out", str(tmp_path), *arguments, *more])
        output = capsys.readouterr()
        return code, (output.err or output.out).splitlines()[-1]

    return run


def below(folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in MODEL.items()}


@pytest.mark.parametrize(
    "archive",
    [
        tar(MODEL), tar(MODEL, "w"), tar(below("."), "w:xz"), zipped(MODEL), tar(below("3")),
        zipped(below("models/flowers/0003")), tar({**below("export"), "README": b"x"}),
        tar({**below("2"), **below("3")}, "w:gz", special("empty", tarfile.DIRTYPE)),
    ],
    ids=[
        "tar.gz", "tar", "tar.xz with ./", "zip", "3/", "models/flowers/0003/", "README", "two versions",
    ],
)  # fmt: skip
def test_the_saved_model_of_an_archive_becomes_the_directory_of_the_version(
    fetch: Fetch, tmp_path: Path, archive: bytes
) -> None:
    assert fetch(archive)[0] == 0
    assert written(tmp_path) == below("3")
    assert fetch(archive) == (0, "Version 3 is there already.")


@pytest.mark.parametrize("supports_ranges", [True, False])
def test_a_broken_download_continues_where_it_stopped(
    server: ArchiveServer, fetch: Fetch, tmp_path: Path, supports_ranges: bool
) -> None:
    content = tar(MODEL, "w")
    server.breaks, server.supports_ranges = [1000, 2000], supports_ranges
    assert fetch(content)[0] == 0
    ranges = [request.get("range") for request in server.requests]
    assert ranges == [None, "bytes=1000-", "bytes=3000-" if supports_ranges else "bytes=2000-"]
    assert written(tmp_path) == below("3")


def test_the_next_run_continues_and_a_part_of_another_file_is_downloaded_again(
    server: ArchiveServer, fetch: Fetch, tmp_path: Path
) -> None:
    content = tar(MODEL, "w")
    server.breaks = [1000] * 5
    code, message = fetch(content)
    assert code == 4
    assert "failed 5 times, after 5,000 bytes: the connection ended after 5,000 of" in message
    part = tmp_path / f"{hashlib.sha256(content).hexdigest()}.part"
    part.write_bytes(b"x" + part.read_bytes()[1:])
    assert fetch(content)[0] == 0
    assert [request.get("range") for request in server.requests[5:]] == ["bytes=5000-", None]


def test_a_whole_file_that_was_not_unpacked_is_not_downloaded_again(
    server: ArchiveServer, fetch: Fetch, tmp_path: Path
) -> None:
    content = tar(MODEL)
    (tmp_path / f"{hashlib.sha256(content).hexdigest()}.part").write_bytes(content)
    (tmp_path / "unpacked").mkdir()
    assert fetch(content)[0] == 0
    assert written(tmp_path) == below("3")


def test_a_server_that_is_busy_is_asked_again(server: ArchiveServer, fetch: Fetch) -> None:
    server.answers["/m.tar.gz"] = [(503, {}, b""), (429, {}, b""), (500, {}, b"")]
    assert fetch(tar(MODEL))[0] == 0
    server.answers["/other"] = [(503, {}, b"")] * 5
    code, message = fetch(tar({**MODEL, "x": b""}), "/other", version="4")
    assert code == 4
    assert "the server responds with 503 Service Unavailable. Kubernetes retries it." in message


def test_headers_of_the_secret_go_to_the_host_of_the_url_only(
    server: ArchiveServer, fetch: Fetch, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "Authorization").write_text("Bearer abc\n")
    (secret / "..data").mkdir()
    elsewhere = server.url.replace("localhost", "127.0.0.1")
    server.answers["/a"] = [(302, {"Location": "/b"}, b"")]
    server.answers["/b"] = [(307, {"Location": f"{elsewhere}/m.tar.gz"}, b"")]
    code, message = fetch(tar(MODEL), "/a", headers=str(secret))
    assert (code, "is not valid for '127.0.0.1'" in message) == (5, True)
    assert [request.get("authorization") for request in server.requests] == ["Bearer abc"] * 2
    server.answers["/a"] = [(302, {"Location": "/m.tar.gz"}, b"")]
    assert fetch(tar(MODEL), "/a", headers=str(secret))[0] == 0


LINK = special("a", tarfile.SYMTYPE, "/etc/passwd")
BAD = "a link or a special file: a."


@pytest.mark.parametrize(
    ("archive", "code", "sentence"),
    [
        (tar({**MODEL, "../outside": b"x"}), 5, "a file outside of its directory: ../outside."),
        (tar({**MODEL, "/etc/x": b"x"}), 5, "outside of its directory: /etc/x."),
        (zipped({**MODEL, "a/../../x": b"x"}), 5, "outside of its directory: a/../../x."),
        (zipped({**MODEL, "..\\x": b"x"}), 5, "outside of its directory"),
        (tar(MODEL, "w:gz", LINK), 5, BAD),
        (tar(MODEL, "w:gz", special("a", tarfile.LNKTYPE, "saved_model.pb")), 5, BAD),
        (tar(MODEL, "w:gz", special("a", tarfile.FIFOTYPE)), 5, BAD),
        (tar(MODEL, "w:gz", special("a", tarfile.CHRTYPE)), 5, BAD),
        (zipped({"a": b"/etc/passwd"}, stat.S_IFLNK | 0o777), 5, BAD),
        (tar({**MODEL, "./saved_model.pb": b"x"}), 5, "two files of the same name"),
        (tar({"a": b"x", "a/b": b"x"}), 5, "two files of the same name"),
        (tar({str(number): b"" for number in range(60)}), 5, "more than 50 files"),
        (tar({"saved_model.pb": b"0" * 200_000}), 5, "GiB when it is unpacked"),
        (zipped({"saved_model.pb": b"0" * 200_000}), 5, "GiB when it is unpacked"),
        (tar(MODEL)[:-200], 5, "The archive is damaged"),
        (zipped(MODEL)[:-10], 5, "The file is no archive"),
        (b"<html>Sign in</html>", 5, "The file is no archive. Pack the directory"),
        (b"", 5, "The file is no archive"),
        (tar({"flowers.keras": b""}), 3, "contains flowers.keras. flowers.keras is a Keras model"),
        (tar({"README": b""}), 3, "no saved_model.pb. The archive contains README. Pack the"),
        (tar({**below("a"), **below("b")}), 3, "contains 2 models, in a, b. Keep only that of version 3"),
    ],
    ids=lambda value: "archive" if isinstance(value, bytes) else None,
)  # fmt: skip
def test_an_archive_that_cannot_be_used_is_refused_and_leaves_nothing_outside(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: bytes, code: int, sentence: str
) -> None:
    monkeypatch.setattr(unpacking, "MAX_FILES", 50)
    monkeypatch.setattr(unpacking, "MAX_BYTES", 100_000)
    found, message = fetch(archive)
    assert sentence in message
    assert found == code
    assert not (tmp_path / "3").exists()
    inside = ("unpacked/", hashlib.sha256(archive).hexdigest())
    assert [name for name in written(tmp_path) if not name.startswith(inside)] == []


@pytest.mark.parametrize(
    ("changed", "sentences"),
    [
        ({"path": "/missing?X-Signature=secret"}, ["/missing responds with 404", "does not exist", "Upload"]),
        ({"path": "/private"}, ["with 403 Forbidden: AccessDenied.", "headersFrom has the credentials"]),
        ({"path": "/plain"}, ["/plain redirects to a URL that is not HTTPS"]),
        ({"path": "/loop"}, ["/loop responds with 302"]),
        ({"sha256": "0" * 64}, ["the SHA-256 digest", f"sha256 is {'0' * 64}. Correct the URL or"]),
        ({"path": "/login", "sha256": "0" * 64}, ["It is an HTML page."]),
        ({"ca_file": "/nowhere.pem"}, ["caBundle does not exist or contains no certificate"]),
    ],
    ids=lambda value: str(value.get("path", value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_download_that_a_retry_would_not_help_is_refused_at_once(
    server: ArchiveServer, fetch: Fetch, changed: dict[str, Any], sentences: list[str]
) -> None:
    server.files["/login"] = b"<!DOCTYPE html><title>Sign in</title>"
    server.answers = {
        "/private": [(403, {}, b"<Error><Code>AccessDenied</Code></Error>")],
        "/plain": [(302, {"Location": "http://localhost/m"}, b"")],
        "/loop": [(302, {"Location": "/loop"}, b"")] * 20,
    }
    code, message = fetch(tar(MODEL), **changed)
    assert code == 5
    for sentence in sentences:
        assert sentence in message
    assert "secret" not in message


def test_a_certificate_of_a_private_authority_needs_its_ca(server: ArchiveServer, fetch: Fetch) -> None:
    system = "/etc/ssl/certs/ca-certificates.crt"
    code, message = fetch(tar(MODEL), ca_file=system if Path(system).exists() else str(server.ca_file))
    assert code == 5
    assert "The certificate of the server of https://localhost/m.tar.gz cannot be verified" in message
    assert "set spec.model.source.https.caBundle" in message
