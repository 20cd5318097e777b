"""Downloads of models through a real forward proxy, with a password, a private authority and direct hosts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive_server import ArchiveServer, archive_server
from archives import tar, written
from forward_proxy import ForwardProxy, forward_proxy
from imageclassifier_gateway.model_files.proxy import use_proxy
from s3_server import S3Server, s3_server

MODEL = {"saved_model.pb": b"model" * 1000, "variables/variables.index": b"index"}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForwardProxy]:
    with forward_proxy(tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        server.upload({f"flowers/3/{name}": content for name, content in MODEL.items()})
        yield server


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    with archive_server(tmp_path_factory.mktemp("tls")) as server:
        server.files["/m.tar.gz"] = tar(MODEL)
        yield server


def program(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imageclassifier_gateway.model_files", *arguments, "--version", "3"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)


def download(https: ArchiveServer, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    digest = hashlib.sha256(https.files["/m.tar.gz"]).hexdigest()
    what = ("download", "--url", f"{https.url}/m.tar.gz", "--sha256", digest, "--ca-file", https.ca_file)
    return program(*what, "--out", out, **environment)


def fetch(s3: S3Server, out: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    secret = s3.secret(out.parent / "secret", "reader")
    what = ("storage", "--uri", "s3://models/flowers/3", "--endpoint", s3.endpoint, "--credentials", secret)
    out.mkdir()
    return program(*what, "--out", out, "--termination-log", out.parent / "none", **environment)


def test_a_bucket_is_read_through_the_proxy(proxy: ForwardProxy, s3: S3Server, tmp_path: Path) -> None:
    place = s3.endpoint.removeprefix("http://").partition(":")[0]
    before = proxy.connections(place)
    done = fetch(s3, tmp_path / "out", **proxy.variables())
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "out/3") == MODEL
    assert proxy.connections(place) > before


def test_an_archive_is_downloaded_through_a_tunnel_to_a_server_of_a_private_authority(
    proxy: ForwardProxy, https: ArchiveServer, tmp_path: Path
) -> None:
    before = proxy.connections("localhost")
    done = download(https, tmp_path, **proxy.variables())
    assert done.returncode == 0, done.stderr
    assert written(tmp_path / "3") == MODEL
    assert proxy.connections("localhost") == before + 1


def test_direct_hosts_are_reached_without_the_proxy(
    proxy: ForwardProxy, s3: S3Server, https: ArchiveServer, tmp_path: Path
) -> None:
    before = proxy.log.read_text()
    direct = proxy.variables("*.localhost", "127.0.0.1")
    assert fetch(s3, tmp_path / "bucket", **direct).returncode == 0
    done = download(https, tmp_path, **direct)
    assert done.returncode == 0, done.stderr
    assert proxy.log.read_text() == before


@pytest.mark.parametrize("what", ["bucket", "archive"])
def test_a_proxy_that_refuses_the_password_is_named(
    proxy: ForwardProxy, s3: S3Server, https: ArchiveServer, tmp_path: Path, what: str
) -> None:
    wrong = proxy.variables(password="wrong")
    if what == "bucket":
        done = fetch(s3, tmp_path / "out", **wrong)
    else:
        done = download(https, tmp_path, **wrong)
    assert done.returncode in (4, 5)
    assert "401" in done.stderr
    assert f"The download went through the proxy 127.0.0.1:{proxy.port}." in done.stderr


def test_the_number_of_an_alias_is_no_failure_of_the_proxy(
    proxy: ForwardProxy, https: ArchiveServer, tmp_path: Path
) -> None:
    answer = b'{"model_version": {"version": "2"}}'
    https.answers["/api/2.0/mlflow/registered-models/alias"] = [(200, {}, answer)]
    what = ("storage", "--uri", "models:/flowers@best", "--endpoint", https.url, "--ca-file", https.ca_file)
    done = program(*what, "--out", tmp_path, "--termination-log", tmp_path / "none", **proxy.variables())
    assert (done.returncode, done.stderr) == (6, "models:/flowers@best is version 2.\n")


def test_without_a_proxy_in_the_spec_the_environment_stays_as_it_is() -> None:
    environment = {"HTTPS_PROXY": "http://cluster.example.org:3128"}
    use_proxy(environment)
    assert environment == {"HTTPS_PROXY": "http://cluster.example.org:3128"}


def test_a_password_may_have_characters_that_mean_something_in_a_url() -> None:
    environment = {
        "MODEL_PROXY": "http://proxy.example.org:3128",
        "MODEL_PROXY_USER": "team/models",
        "MODEL_PROXY_PASSWORD": "p@ss:w%",
    }
    use_proxy(environment)
    assert environment["HTTPS_PROXY"] == "http://team%2Fmodels:p%40ss%3Aw%25@proxy.example.org:3128"
    assert "169.254.170.23" in environment["NO_PROXY"]
