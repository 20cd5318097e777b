"""The archive for krew: one file that runs without any installed package."""

import hashlib
import io
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

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


def test_without_a_url_there_is_no_manifest(data: bytes, tmp_path: Path) -> None:
    program = Path(__file__).parents[2] / "client/krew/build.py"
    subprocess.run([sys.executable, program, "--out", tmp_path], check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {BUILD["archive_name"](): data}


def test_the_same_sources_give_the_same_archive(data: bytes) -> None:
    assert BUILD["archive"]() == data
