"""A model of the Hugging Face Hub is listed, downloaded and checked over the Hub's API.

The server speaks the part of the API that is used, because tests cannot reach the Hub itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive_server import ArchiveServer, archive_server
from archives import tar, written
from imageclassifier_gateway.model_files import retries
from imageclassifier_gateway.model_files.__main__ import main
from imageclassifier_gateway.model_files.storage import choice
from imageclassifier_gateway.model_files.storage import hub as hub_module

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = {"saved_model.pb": b"graph", "variables/variables.data-00000-of-00001": b"weights" * 300}
API = "/api/models/team/flowers"


def below(directory: str) -> dict[str, bytes]:
    return {f"{directory}/{name}": content for name, content in MODEL.items()}


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file in the listing. Large files are in LFS, with the digest of their content."""
    if len(content) > 1000:
        large = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return {"type": "file", "path": path, "size": len(content), "oid": "a" * 40, "lfs": large}
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    return {"type": "file", "path": path, "size": len(content), "oid": blob}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    with archive_server(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.fixture
def hub(running: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> ArchiveServer:
    running.files, running.answers, running.breaks, running.requests = {}, {}, [], []
    monkeypatch.setattr(retries, "_FIRST_PAUSE_SECONDS", 0.0)
    return running


def upload(hub: ArchiveServer, files: dict[str, bytes], revision: str = "main") -> None:
    """A repository with these files. Each directory can be listed."""
    hub.files[f"{API}/revision/{revision}"] = json.dumps({"id": "team/flowers", "sha": COMMIT}).encode()
    directories = {
        "",
        *(str(parent) for path in files for parent in Path(path).parents if str(parent) != "."),
    }
    for directory in directories:
        inside = [entry(path, content) for path, content in files.items() if path.startswith(directory)]
        listed = [
            {"type": "directory", "path": f"{directory}/variables".strip("/"), "size": 0, "oid": "b" * 40}
        ]
        hub.files[f"{API}/tree/{COMMIT}{'/' * bool(directory)}{directory}"] = json.dumps(
            listed + inside
        ).encode()
    for path, content in files.items():
        hub.files[f"/team/flowers/resolve/{COMMIT}/{path}"] = content


Fetch = Callable[..., tuple[int, str]]


@pytest.fixture
def fetch(hub: ArchiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fetch:
    out = tmp_path / "out"
    out.mkdir()

    def run(uri: str = "hf://team/flowers", **changed: str) -> tuple[int, str]:
        given = {"--uri": uri, "--endpoint": hub.url, "--ca-file": str(hub.ca_file), "--out": str(out)}
        given |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        code = main(["storage", "--version", "3", *(word for pair in given.items() for word in pair)])
        output = capsys.readouterr()
        return code, (output.err or output.out).splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("uri", "revision", "files"),
    [
        ("hf://team/flowers", "main", MODEL | {"README.md": b"#"}),
        ("hf://team/flowers@v3", "v3", below("export")),
        ("hf://team/flowers@v3/models", "v3", below("models/2") | below("models/3")),
        (f"hf://team/flowers@{COMMIT}/a/m.tar.gz", COMMIT, {"a/m.tar.gz": tar(MODEL)}),
    ],
)
def test_the_files_of_one_commit_become_the_directory_of_the_version(
    hub: ArchiveServer, fetch: Fetch, tmp_path: Path, uri: str, revision: str, files: dict[str, bytes]
) -> None:
    upload(hub, files, revision)
    code, message = fetch(uri)
    assert code == 0, message
    found = written(tmp_path / "out")
    assert {name: found[name] for name in below("3")} == below("3")
    assert all(COMMIT in request["path"] for request in hub.requests[1:])


def test_a_long_listing_has_pages(hub: ArchiveServer, fetch: Fetch, tmp_path: Path) -> None:
    upload(hub, MODEL)
    first, second = (json.dumps([entry(*each)]).encode() for each in MODEL.items())
    following = {"Link": f'<{hub.url}{API}/tree/{COMMIT}?recursive=true&cursor=x>; rel="next"'}
    hub.answers[f"{API}/tree/{COMMIT}"] = [(200, following, first), (200, {}, second)]
    assert fetch()[0] == 0
    assert written(tmp_path / "out") == below("3")
    hub.answers[f"{API}/tree/{COMMIT}"] = [(200, {"Link": '<https://other.example/x>; rel="next"'}, first)]
    assert "refers to another server" in fetch(version="4")[1]


def test_the_listing_of_too_many_files_ends(
    hub: ArchiveServer, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (choice, hub_module):
        monkeypatch.setattr(module, "MAX_FILES", 1)
    upload(hub, MODEL)
    page = json.dumps([entry(*each) for each in MODEL.items()]).encode()
    following = {"Link": f'<{hub.url}{API}/tree/{COMMIT}?recursive=true&cursor=x>; rel="next"'}
    hub.answers[f"{API}/tree/{COMMIT}"] = [(200, following, page), (200, {}, b"<html>")]
    assert "hf://team/flowers has more than 1 files." in fetch()[1]


def test_the_token_of_the_secret_is_sent(hub: ArchiveServer, fetch: Fetch, tmp_path: Path) -> None:
    upload(hub, MODEL)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "HF_TOKEN").write_text("hf_abc\n")
    assert fetch(credentials=str(tmp_path / "secret"))[0] == 0
    assert {request["authorization"] for request in hub.requests} == {"Bearer hf_abc"}


def test_a_broken_download_continues(hub: ArchiveServer, fetch: Fetch, tmp_path: Path) -> None:
    upload(hub, MODEL)
    fetch()
    before = len(hub.requests)
    hub.breaks = [10**6, 10**6, 10**6, 1000]  # revision, tree, graph, weights
    assert fetch(version="4")[0] == 0
    assert [request.get("range") for request in hub.requests[before:]][-1] == "bytes=1000-"
    assert written(tmp_path / "out" / "4") == MODEL


@pytest.mark.parametrize("name", MODEL)
def test_content_that_differs_from_its_digest_is_not_used(
    hub: ArchiveServer, fetch: Fetch, tmp_path: Path, name: str
) -> None:
    upload(hub, MODEL)
    content = MODEL[name]
    hub.files[f"/team/flowers/resolve/{COMMIT}/{name}"] = b"x" + content[1:]
    code, message = fetch()
    assert code == 4
    assert "does not have the digest that the store lists" in message
    hub.files[f"/team/flowers/resolve/{COMMIT}/{name}"] = content
    assert fetch()[0] == 0


def error(status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"X-Error-Code": code, "X-Error-Message": message}, json.dumps({"error": message}).encode()


@pytest.mark.parametrize(
    ("path", "answer", "sentences"),
    [
        (
            f"{API}/revision/main", error(401, "RepoNotFound", "Invalid username or password."),
            ["401 Unauthorized: RepoNotFound: Invalid username", "Correct spec.model.source.storage.uri.",
             "private, set spec.model.source.storage.credentialsFrom"],
        ),
        (
            f"{API}/revision/main", error(404, "RevisionNotFound", "Invalid rev id: main"),
            ["404 Not Found: RevisionNotFound: Invalid rev id: main. Correct the revision behind @"],
        ),
        (
            f"{API}/tree/{COMMIT}", error(404, "EntryNotFound", "x does not exist"),
            ["EntryNotFound: x does not exist. Upload the model"],
        ),
        (
            f"/team/flowers/resolve/{COMMIT}/saved_model.pb", error(403, "GatedRepo", "Access is limited."),
            ["403 Forbidden: GatedRepo: Access is limited. Accept the conditions"],
        ),
        (f"{API}/revision/main", (200, {}, b"<html>"), ["not answer as the Hugging Face Hub does"]),
        (f"{API}/revision/main", (200, {}, b"[]"), ["not answer as the Hugging Face Hub does"]),
        (f"{API}/tree/{COMMIT}", (200, {}, b"{}"), ["not answer as the Hugging Face Hub does"]),
    ],
)  # fmt: skip
def test_what_a_retry_would_not_help_is_refused_with_the_words_of_the_hub(
    hub: ArchiveServer, fetch: Fetch, path: str, answer: Any, sentences: list[str]
) -> None:
    upload(hub, MODEL)
    hub.answers[path] = [answer]
    code, message = fetch()
    for sentence in sentences:
        assert sentence in message
    assert code == 5


def test_a_mirror_without_tls_is_refused(fetch: Fetch) -> None:
    code, message = fetch(endpoint="http://mirror.example")
    assert code == 5
    assert "Use an https:// URL." in message
