"""What `make release` checks before it builds, and what it says about where a release comes from."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from laptop import places
from laptop.progress import StepFailed
from release import cut, provenance, versions

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"


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
def test_a_version_that_is_not_semantic_is_refused(sources: Path, version: str) -> None:
    assert versions.differences(sources, version) == [f"{version!r} is not a semantic version such as 1.2.0."]
    with pytest.raises(ValueError, match="not a semantic version"):
        versions.set_version(sources, version)


def test_the_sources_of_this_checkout_have_one_version() -> None:
    found = versions.differences(places.REPOSITORY, "999.0.0")
    assert len({each.rpartition(" says ")[2] for each in found if " says " in each}) == 1


@pytest.mark.parametrize("registry", ["registry.example.org/team", "localhost:5000", "127.0.0.1:5000/a/b"])
def test_a_registry_may_have_a_port_and_a_path(registry: str) -> None:
    cut.check_registry(registry)


@pytest.mark.parametrize("registry", ["", "imageclassifier", "/team"])
def test_an_installation_that_names_no_registry_is_refused(registry: str) -> None:
    with pytest.raises(StepFailed, match="names no registry"):
        cut.check_registry(registry)


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
