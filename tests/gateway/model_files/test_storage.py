"""A model in S3 is found, downloaded, continued and checked; what is missing is in the store's own words."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archive_server import archive_server
from archives import tar, written, zipped
from imageclassifier_gateway.model_files import retries
from imageclassifier_gateway.model_files.__main__ import main
from imageclassifier_gateway.model_files.digests import directory_digest
from imageclassifier_gateway.model_files.refusal import DownloadRefusedError
from imageclassifier_gateway.model_files.storage.access import Access
from imageclassifier_gateway.model_files.storage.s3 import s3_bucket
from imageclassifier_gateway.model_files.storage.store import RemoteFile, StorageUri
from imageclassifier_gateway.model_files.storage.transfer import fetched
from s3_server import S3Server, s3_server

MODEL = {
    "saved_model.pb": random.Random(7).randbytes(25_000),
    "variables/variables.index": b"index",
    "assets.extra/empty.txt": b"",
}


def below(directory: str) -> dict[str, bytes]:
    return {f"{directory}/{name}": content for name, content in MODEL.items()}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def fetch(s3: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    """Runs the program for version 3, and returns its exit code and the last line of its output."""
    out, log = tmp_path / "out", tmp_path / "termination-log"
    out.mkdir()
    log.touch()

    def run(
        uri: str = "s3://models/flowers/3", user: str | None = "reader", **changed: str
    ) -> tuple[int, str]:
        given = {"--uri": uri, "--endpoint": s3.endpoint, "--out": str(out), "--termination-log": str(log)}
        if user is not None:
            given["--credentials"] = str(s3.secret(tmp_path / f"secret-{user}", user))
        given |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        code = main(["storage", "--version", "3", *(word for pair in given.items() for word in pair)])
        output = capsys.readouterr()
        return code, (output.err or output.out).splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("uri", "objects"),
    [
        ("s3://models/flowers/3", below("flowers/3")),
        ("s3://models/flowers/3/", below("flowers/3")),
        ("s3://models/flowers", {**below("flowers/3"), **below("flowers/2"), "flowers/README": b"x"}),
        ("s3://models/flowers", {**below("flowers/0003"), "flowers-old/3/saved_model.pb": b"x"}),
        ("s3://models", below("3")),
        ("s3://models/flowers/run-7", below("flowers/run-7/export")),
        ("s3://models/flowers/3", {**below("flowers/3"), "flowers/3/": b"", "flowers/3/assets/": b""}),
        ("s3://models/a/flowers-3.tar.gz", {"a/flowers-3.tar.gz": tar(below("3"))}),
        ("s3://models/flowers.zip", {"flowers.zip": zipped(MODEL)}),
    ],
    ids=[
        "the version", "a slash", "all versions", "0003", "the bucket", "deeper", "empty directories",
        "a tar.gz", "a zip",
    ],
)  # fmt: skip
def test_the_files_of_the_version_become_its_directory(
    s3: S3Server, fetch: Fetch, tmp_path: Path, uri: str, objects: dict[str, bytes]
) -> None:
    s3.upload(objects)
    code, message = fetch(uri)
    assert code == 0, message
    assert written(tmp_path / "out") == below("3")
    digest = directory_digest(tmp_path / "out" / "3")
    assert (tmp_path / "termination-log").read_text() == f"sha256:{digest}"
    s3.upload({})
    assert fetch(uri) == (0, message)  # a container that runs again has all it needs


def test_the_digest_is_the_one_that_the_documentation_computes(tmp_path: Path) -> None:
    for name, content in {**MODEL, "b-c/d": b"1", "b/é": b"2", "B": b"3"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    command = "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    printed = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert directory_digest(tmp_path) == printed.stdout.split()[0]


def test_a_digest_in_the_spec_decides(s3: S3Server, fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name, content in MODEL.items():
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    archive = tar(MODEL)
    s3.upload({**below("flowers/3"), "flowers.tar.gz": archive})
    for uri, digest in {
        "s3://models/flowers/3": directory_digest(tmp_path / "model"),
        "s3://models/flowers.tar.gz": hashlib.sha256(archive).hexdigest(),
    }.items():
        code, message = fetch(uri, sha256="0" * 64)
        assert code == 5
        assert (
            f"{uri} has the SHA-256 digest {digest}, but spec.model.source.storage.sha256 is 000" in message
        )
        assert not (tmp_path / "out" / "3").exists()
        assert fetch(uri, sha256=digest)[0] == 0
        (tmp_path / "out" / "3").rename(tmp_path / "out" / digest)


REFUSED: dict[str, tuple[dict[str, str | None], int, list[str]]] = {
    "no bucket": (
        {"uri": "s3://nowhere/flowers/3", "user": "reader"},
        5,
        ["s3://nowhere/flowers/3: the store responds with 404 Not Found: NoSuchBucket: The specified bucket",
         "Create the bucket, or correct spec.model.source.storage.uri"],
    ),
    "no version": (
        {"uri": "s3://models/flowers/4"}, 5, ["404 Not Found: NoSuchKey: The specified key", "Upload"],
    ),
    "no archive": ({"uri": "s3://models/flowers.zip"}, 5, ["NoSuchKey", "Upload the model"]),
    "only another version": (
        {"uri": "s3://models/roses"}, 3, ["s3://models/roses has no version 3, only 2. Set spec"],
    ),
    "several models": (
        {"uri": "s3://models/flowers/many"}, 3, ["contains 2 models, in a, b. Keep only that of version 3"],
    ),
    "a Keras model": (
        {"uri": "s3://models/flowers/keras"}, 3, ["has no saved_model.pb.", "m.keras is a Keras model"],
    ),
    "a Keras file": ({"uri": "s3://models/flowers/keras/m.keras"}, 3, ["is one file of 1 bytes", "Keras"]),
    "no rights": (
        {"user": "nobody"},
        5,
        ["responds with 403 Forbidden: AccessDenied: Access Denied. Give the credentials in",
         "s3:ListBucket and s3:GetObject"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_retry_would_not_help_is_refused_with_the_words_of_the_store(
    s3: S3Server, fetch: Fetch, tmp_path: Path, case: str
) -> None:
    s3.upload(
        {
            **below("flowers/3"),
            **below("roses/2"),
            **below("flowers/many/a"),
            **below("flowers/many/b"),
            "flowers/keras/m.keras": b"x",
        }
    )
    changed, code, sentences = REFUSED[case]
    found, message = fetch(**changed)
    for sentence in sentences:
        assert sentence in message
    assert found == code
    assert written(tmp_path / "out") == {}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONG"}, "InvalidAccessKeyId"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
    ],
)
def test_wrong_keys_name_the_secret(
    s3: S3Server, fetch: Fetch, tmp_path: Path, changed: dict[str, str], sentence: str
) -> None:
    s3.secret(tmp_path / "wrong", "reader", **changed)
    code, message = fetch(credentials=str(tmp_path / "wrong"))
    assert code == 5
    assert sentence in message
    assert message.endswith("Correct the Secret in spec.model.source.storage.credentialsFrom.")


def test_a_secret_without_the_keys_is_refused(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "accesskey").write_text("x")
    code, message = fetch(credentials=str(tmp_path / "other"))
    assert code == 5
    assert "has no key AWS_ACCESS_KEY_ID and no key AWS_SECRET_ACCESS_KEY, only accesskey." in message


def test_without_a_secret_the_role_of_the_service_account_signs_the_requests(
    fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with EKS Pod Identity: an agent on the node returns the credentials for the token of the pod."""
    (tmp_path / "tls").mkdir()
    (tmp_path / "token").write_text("token-of-the-pod")
    credentials = {"AccessKeyId": "KEY", "SecretAccessKey": "s", "Token": "session"}
    asked = []

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            body = json.dumps({**credentials, "Expiration": "2099-01-01T00:00:00Z"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    agent = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=agent.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http://127.0.0.1:{agent.server_port}/v1/credentials"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"
    with archive_server(tmp_path / "tls") as server:
        server.answers["/models"] = [(403, {}, denied)]
        code, message = fetch(user=None, endpoint=server.url, ca_file=str(server.ca_file))
        [request] = server.requests
    agent.shutdown()
    agent.server_close()
    assert asked == ["token-of-the-pod"]
    assert request["authorization"].startswith("AWS4-HMAC-SHA256 Credential=KEY/")
    assert request["x-amz-security-token"] == "session"
    assert code == 5
    assert "AccessDenied: Access Denied. Give the role of the pods' ServiceAccount the rights" in message


def test_without_credentials_the_requests_are_not_signed(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"
    with archive_server(tmp_path / "tls") as server:
        server.answers["/models"] = [(403, {}, denied)]
        code, message = fetch(user=None, endpoint=server.url, ca_file=str(server.ca_file))
        assert "authorization" not in server.requests[0]
    assert code == 5
    assert "403 Forbidden: AccessDenied: Access Denied. The request had no credentials. Set" in message


def test_a_private_authority_needs_its_ca(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    with archive_server(tmp_path / "tls") as server:
        code, message = fetch(endpoint=server.url)
        assert code == 5
        assert (
            "cannot be verified. If a private CA has signed it, set spec.model.source.storage.caBundle"
            in message
        )
        code, message = fetch(endpoint=server.url, ca_file=str(server.ca_file))
        assert "404 Not Found: NoSuchKey: The key does not exist." in message  # the words of that server
    code, message = fetch(ca_file=str(tmp_path / "nowhere.pem"))
    assert code == 5
    assert "caBundle does not exist or contains no certificate" in message


def test_a_store_that_does_not_answer_is_asked_again_by_kubernetes(fetch: Fetch) -> None:
    code, message = fetch(endpoint="http://127.0.0.1:9")
    assert code == 4
    assert "s3://models/flowers/3 failed 5 times" in message
    assert "refused" in message
    assert message.endswith("Kubernetes retries it.")


def test_a_file_that_changes_after_it_was_listed_is_not_mixed(s3: S3Server, tmp_path: Path) -> None:
    access = Access(s3.endpoint, credentials=s3.secret(tmp_path / "s", "reader"))
    bucket = s3_bucket(StorageUri.parse("s3://models/flowers/3"), access)
    s3.upload({"flowers/3/saved_model.pb": b"first"})
    [file] = bucket.files()
    assert b"".join(bucket.read(file, 2)) == b"rst"
    s3.upload({"flowers/3/saved_model.pb": b"other"})
    with pytest.raises(ConnectionError, match="412 Precondition Failed"):
        list(bucket.read(file, 2))


class Breaking:
    """A store whose connections break after 1,000 bytes."""

    uri = StorageUri.parse("s3://models/flowers/3")

    def __init__(self, content: bytes) -> None:
        self.content, self.offsets = content, list[int]()

    def file(self) -> RemoteFile:
        raise NotImplementedError

    def files(self) -> list[RemoteFile]:
        raise NotImplementedError

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        self.offsets.append(offset)
        yield self.content[offset:][:1000]
        if offset + 1000 < len(self.content):
            raise ConnectionResetError("broken")


def test_a_broken_download_continues_where_it_stopped_also_in_the_next_container(tmp_path: Path) -> None:
    store = Breaking(MODEL["saved_model.pb"][:7_500])
    file = RemoteFile("saved_model.pb", "flowers/3/saved_model.pb", 7_500, "tag")
    with pytest.raises(Exception, match=r"failed 5 times, after 5,000 bytes: broken"):
        fetched(store, file, tmp_path)
    assert fetched(store, file, tmp_path).read_bytes() == store.content
    assert store.offsets == [*range(0, 7_501, 1000)]


def test_a_part_of_another_state_is_not_continued(tmp_path: Path) -> None:
    store = Breaking(b"a" * 500)
    fetched(store, RemoteFile("f", "f", 500, "first"), tmp_path)
    fetched(store, RemoteFile("f", "f", 500, "second"), tmp_path)
    assert store.offsets == [0, 0]


def test_a_file_that_is_longer_than_listed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadRefusedError, match="f has 500 bytes, not 400"):
        fetched(Breaking(b"a" * 500), RemoteFile("f", "f", 400), tmp_path)
