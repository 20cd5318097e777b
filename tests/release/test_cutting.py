"""What `make release` checks before it builds, and what it says about where a release comes from."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from images import build, docker
from laptop import engine, golang, places, registry
from laptop.progress import Step, StepFailed
from release import cut, provenance, versions

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
DIGEST = "sha256:" + "1f" * 32


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the files that have the version, with a changelog of this release only."""
    for name, _ in versions.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(places.REPOSITORY / name, tmp_path / name)
    (tmp_path / "CHANGELOG.md").write_text(
        "## [Unreleased]\n\n## [12.3.0-rc.1] - 2026-11-29\n", encoding="utf-8"
    )
    return tmp_path


def test_setting_the_version_makes_the_sources_those_of_the_release(sources: Path) -> None:
    version = "12.3.0-rc.1"
    before = versions.differences(sources, version)
    assert len(before) == len(versions.PLACES)
    assert before[0].startswith("gateway/src/imageclassifier_gateway/__init__.py says ")
    versions.set_version(sources, version)
    assert versions.differences(sources, version) == []


def test_a_release_without_its_section_in_the_changelog_is_refused(sources: Path) -> None:
    versions.set_version(sources, "12.4.0")
    assert versions.differences(sources, "12.4.0") == ["CHANGELOG.md has no section `## [12.4.0]`."]


@pytest.mark.parametrize("version", ["", "1.2", "v1.2.0", "1.02.0", "1.2.0+build"])
@pytest.mark.parametrize("options", [["--set-version"], ["--image-registry=registry.example.org"]])
def test_a_version_that_is_not_semantic_is_refused_before_anything_else(
    sources: Path,
    version: str,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(places, "REPOSITORY", sources)
    before = {path: path.read_bytes() for path in sources.rglob("*") if path.is_file()}
    assert cut.main([version, *options]) == 1
    sentence = f"{version!r} is not a semantic version. Give one such as 1.2.0.\n"
    assert capsys.readouterr().err == sentence
    assert {path: path.read_bytes() for path in sources.rglob("*") if path.is_file()} == before


def test_the_sources_of_this_checkout_have_one_version() -> None:
    found = versions.differences(places.REPOSITORY, "999.0.0")
    assert len({each.rpartition(" says ")[2] for each in found if " says " in each}) == 1


@pytest.mark.parametrize(
    "name",
    [
        "registry.example.org/team",
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000/a/b",
        "registry:5000/team",
        "docker.io/team",
    ],
)
def test_a_registry_may_have_a_port_and_a_path(name: str) -> None:
    cut.check_registry(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "imageclassifier",
        "/team",
        "https://registry.example.org/team",
        "registry.example.org/",
        "registry:x",
    ],
)
def test_an_installation_that_names_no_registry_is_refused(name: str) -> None:
    with pytest.raises(StepFailed, match="names no registry"):
        cut.check_registry(name)


@pytest.mark.parametrize(
    ("wanted", "known_as"),
    [
        (None, "tensorflow/serving"),
        ("tensorflow/serving", "tensorflow/serving"),
        ("docker.io/tensorflow/serving:2", "tensorflow/serving"),
        ("docker.io/library/serving:2", "serving"),
        ("docker.io/serving", "serving"),
        ("registry:5000/team/serving", "registry:5000/team/serving"),
        ("registry:5000/team/serving:2", "registry:5000/team/serving"),
    ],
)
def test_a_model_server_gets_the_digest_that_docker_knows_by_its_short_name(
    wanted: str | None, known_as: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = f"other.example.org/serving@sha256:{'b' * 64} {known_as}@{DIGEST}\n"
    monkeypatch.setattr(registry, "pull", lambda image, current: True)
    monkeypatch.setattr(docker, "run", lambda *arguments: printed)
    pinned = cut.pinned_serving_image(wanted, "ours", Step("Find", tmp_path / "log"))
    assert pinned == f"{wanted or build.STOCK_SERVING}@{DIGEST}"


def test_a_model_server_whose_digest_nobody_knows_is_refused_with_what_to_give(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    current = Step("Find", tmp_path / "log")
    monkeypatch.setattr(registry, "pull", lambda image, current: False)
    with pytest.raises(StepFailed, match="SERVING_IMAGE=serving:2@sha256:"):
        cut.pinned_serving_image("serving:2", "ours", current)
    monkeypatch.setattr(registry, "pull", lambda image, current: True)
    monkeypatch.setattr(docker, "run", lambda *arguments: "\n")
    with pytest.raises(StepFailed, match="SERVING_IMAGE=serving:2@sha256:"):
        cut.pinned_serving_image("serving:2", "ours", current)
    assert cut.pinned_serving_image("ours", "ours@sha256:1", current) == "ours@sha256:1"
    assert cut.pinned_serving_image("x@sha256:2", "ours", current) == "x@sha256:2"


def test_the_engine_runs_and_helm_is_built_before_the_first_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[object] = []

    def write_images(*_: object) -> dict[str, str]:
        raise StepFailed("This is far enough.")

    monkeypatch.setattr(places, "REPOSITORY", tmp_path)
    monkeypatch.setattr(cut, "check_sources", lambda version: done.append(version))
    monkeypatch.setattr(cut, "git", lambda *_: "0")
    monkeypatch.setattr(engine, "ensure", lambda: done.append("engine"))
    monkeypatch.setattr(golang, "ensure", done.extend)
    monkeypatch.setattr(cut, "write_images", write_images)
    assert cut.main(["1.2.0", "--image-registry=registry.example.org"]) == 1
    assert capsys.readouterr().err == "This is far enough.\n"
    assert done == ["1.2.0", "engine", golang.HELM]


def test_the_commands_that_sign_find_each_image_and_its_sbom(tmp_path: Path) -> None:
    page = (places.REPOSITORY / "docs/releasing.md").read_text(encoding="utf-8")
    [commands] = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "cosign" in block]
    names = [program.name for program in cut.PROGRAMS]
    images = {name: f"registry:5000/team/{name}:1.2.0@{DIGEST}" for name in names}
    (tmp_path / "images.json").write_text(json.dumps(images), encoding="utf-8")
    program = tmp_path / "cosign"
    program.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "-eu", "-c", commands]
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    said = run.stdout.splitlines()
    assert said[-1].startswith("sign-blob ")
    attested = {line.split()[-1]: line.split()[-2] for line in said if line.startswith("attest ")}
    assert attested == {image: f"sbom/{name}.cdx.json" for name, image in images.items()}
    assert {line.split()[-1] for line in said if line.startswith("sign ")} == set(images.values())


def test_the_provenance_names_the_commit_the_inputs_and_each_file_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "install").mkdir()
    (tmp_path / "install/install.yaml").write_bytes(b"kind: List\n")
    sha = hashlib.sha256(b"kind: List\n").hexdigest()
    source = provenance.Source(COMMIT, "base:1", "sha256:" + "a" * 64, {"requirements/gateway.txt": "b" * 64})
    at = datetime(2026, 11, 29, tzinfo=UTC)
    parameters = {"VERSION": "1.2.0"}
    text = provenance.statement(parameters, source, "urn:example", at, cut.file_digests(tmp_path))
    document = json.loads(text)
    assert document["subject"] == [{"name": "install/install.yaml", "digest": {"sha256": sha}}]
    build = document["predicate"]["buildDefinition"]
    assert build["externalParameters"] == parameters
    assert [list(each["digest"].items()) for each in build["resolvedDependencies"]] == [
        [("gitCommit", COMMIT)],
        [("sha256", "a" * 64)],
        [("sha256", "b" * 64)],
    ]
