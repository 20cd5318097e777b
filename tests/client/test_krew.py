"""The archive for krew: one file that runs without any installed package."""

import hashlib
import io
import os
import runpy
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bare_apiserver.programs import find_programs
from laptop import golang

BUILD = runpy.run_path(str(Path(__file__).parents[2] / "client/krew/build.py"))


@pytest.fixture(scope="module")
def data() -> bytes:
    built: bytes = BUILD["archive"]()
    return built


def test_the_program_in_the_archive_runs_with_python_alone(data: bytes, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(tmp_path, filter="data")
    program = tmp_path / "kubectl-imageclassifier"
    assert program.stat().st_mode & 0o111

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        isolated = [sys.executable, "-I", "-S", str(program), *arguments]
        return subprocess.run(isolated, env={"KUBECTL": "/nowhere"}, capture_output=True, text=True)

    shown = run("status", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage: kubectl imageclassifier status" in shown.stdout
    assert run("status").stderr.startswith("error: /nowhere cannot be run")
    assert "pip install 'imageclassifier[client]'" in run("create", "a", ".", "--image", "b").stderr


def test_the_manifest_has_the_digest_of_the_archive_and_names_its_files(data: bytes) -> None:
    manifest: dict[str, Any] = BUILD["manifest"]("https://example.org/downloads/", data)
    [platform] = manifest["spec"]["platforms"]
    assert platform["sha256"] == hashlib.sha256(data).hexdigest()
    assert platform["uri"] == f"https://example.org/downloads/{BUILD['archive_name']()}"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert names == [each["from"] for each in platform["files"]]
    assert platform["bin"] in names
    assert len(manifest["spec"]["shortDescription"]) <= 50


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which krew downloads its files."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def krew(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has kubectl and krew."""
    golang.ensure([golang.KREW, golang.VALIDATE_KREW_MANIFEST])
    root, programs = tmp_path / "krew", tmp_path / "programs"
    programs.mkdir()
    (programs / "kubectl").symlink_to(find_programs().kubernetes)
    (programs / "kubectl-krew").symlink_to(golang.binary_path(golang.KREW))
    path = os.pathsep.join(map(str, (root / "bin", programs, os.environ["PATH"])))
    return {"PATH": path, "KREW_ROOT": str(root), "HOME": str(tmp_path)}


def test_krew_accepts_the_manifest_and_installs_the_plugin(
    downloads: tuple[Path, str], krew: dict[str, str]
) -> None:
    folder, url = downloads
    build = Path(__file__).parents[2] / "client/krew/build.py"
    subprocess.run([sys.executable, build, "--out", folder, "--url", url], check=True, capture_output=True)
    manifest = folder / "imageclassifier.yaml"

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, env=krew, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    checked = run(golang.binary_path(golang.VALIDATE_KREW_MANIFEST), "-manifest", manifest)
    assert "structural validation OK" in checked
    assert "all 1 spec.platforms installed fine" in checked
    run(
        "kubectl",
        "krew",
        "install",
        f"--manifest={manifest}",
        f"--archive={folder / BUILD['archive_name']()}",
    )
    assert "usage: kubectl imageclassifier" in run("kubectl", "imageclassifier", "--help")


def test_without_a_url_there_is_no_manifest(data: bytes, tmp_path: Path) -> None:
    program = Path(__file__).parents[2] / "client/krew/build.py"
    subprocess.run([sys.executable, program, "--out", tmp_path], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {BUILD["archive_name"](): data}


def test_the_same_sources_give_the_same_archive(data: bytes) -> None:
    assert BUILD["archive"]() == data
