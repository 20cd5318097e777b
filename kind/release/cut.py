"""The steps of `make release`."""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from images import build, docker, packages, recipes
from images.layout import docker_io
from laptop import base_image, engine, golang, places, registry
from laptop.progress import Step, StepFailed, step
from release import components, licences, provenance, sbom, versions
from release.archive import Released, write_archive

PROGRAMS = (*recipes.PROGRAMS, recipes.TRAINING)
OURS = "ours"
"""The value of SERVING_IMAGE for our own model server."""
_INSTALL = places.REPOSITORY / "operator/install"
_COMMON_LICENCES = "usr/share/common-licenses/"


@dataclass(frozen=True)
class Release:
    """What the user asked for. `url`: the folder of downloads for krew, if it is known already."""

    version: str
    image_registry: str
    serving_image: str | None
    url: str | None
    builder: str

    def reference(self, name: str) -> str:
        """The image `name` of this release, by its tag."""
        return f"{self.image_registry}/{name}:{self.version}"


def git(*arguments: str) -> str:
    """What git prints about the repository."""
    command = ["git", "-C", str(places.REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def check_sources(version: str) -> None:
    """Raise StepFailed unless the sources are committed and are those of the release `version`.

    Raises ValueError if that is not a version.
    """
    versions.check(version)
    if found := versions.differences(places.REPOSITORY, version):
        raise StepFailed(
            f"The sources are not those of {version}. {' '.join(found)} Run `make set-version "
            f"VERSION={version}`, write the section of the changelog, and commit both."
        )
    if changed := git("status", "--porcelain"):
        raise StepFailed(
            f"{len(changed.splitlines())} files are not committed, so the provenance could name no commit. "
            "Commit or remove these changes."
        )


def check_registry(image_registry: str) -> None:
    """Raise StepFailed unless the text is a registry with a path or without one.

    The images of an installation need a registry.
    """
    is_name = re.fullmatch(r"[^/:]+(:\d+)?(/[^/:]+)*", image_registry)
    if not is_name or not registry.named_registry(f"{image_registry}/operator"):
        raise StepFailed(
            f"IMAGE_REGISTRY={image_registry} names no registry, so no cluster could pull from it. Give the "
            "registry and the path, such as IMAGE_REGISTRY=registry.example.org/team."
        )


def pinned_serving_image(given: str | None, ours: str, current: Step) -> str:
    """The default model server with its digest; `ours` is the reference of our own. Raises StepFailed."""
    if given == OURS:
        return ours
    wanted = given or build.STOCK_SERVING
    if "@sha256:" in wanted:
        return wanted
    if not registry.pull(wanted, current):
        raise StepFailed(
            f"The digest of {wanted} is unknown, because it could not be pulled from its registry. Name it "
            f"with SERVING_IMAGE={wanted}@sha256:..., or use our model server with SERVING_IMAGE={OURS}."
        )
    names = docker.run("image", "inspect", "--format", '{{join .RepoDigests " "}}', wanted).split()
    digests = {docker_io(name).partition("@")[0]: name.partition("@")[2] for name in names}
    repository = re.sub(r":[^/]+$", "", docker_io(wanted))
    if repository not in digests:
        raise StepFailed(
            f"The Docker Engine knows no digest of {wanted}. Name it with SERVING_IMAGE={wanted}@sha256:..."
        )
    return f"{wanted}@{digests[repository]}"


def write_images(release: Release, at: datetime, folder: Path) -> dict[str, str]:
    """Build and write the images, their SBOMs and the licences; returns name -> digest of the manifest."""
    for name in ("images", "sbom"):
        (folder / name).mkdir()
    base = build.build_base()
    digests: dict[str, str] = {}
    found: dict[str, list[components.Component]] = {}
    common: dict[str, str] = {}
    for program in PROGRAMS:
        image = build.build_program(program, base)
        with step(f"Write the image {program.name} and its SBOM") as current:
            released = _write_image(release, program.name, image, folder)
            digests[program.name] = released.digest
            found[program.name] = components.components(released.telling_files, released.environment)
            _write_sbom(release, program.name, released, found[program.name], at, folder)
            common |= {
                path: content.decode("utf-8", "replace")
                for path, content in released.telling_files.items()
                if path.startswith(_COMMON_LICENCES)
            }
            current.found(f"{len(found[program.name])} components, {released.platform}")
    own_text = (places.REPOSITORY / "LICENSE").read_text(encoding="utf-8")
    text = licences.licences(release.version, own_text, found, common)
    (folder / "licences.txt").write_text(text, encoding="utf-8")
    return digests


def _write_image(release: Release, name: str, image: str, folder: Path) -> Released:
    architecture = docker.run("image", "inspect", "--format", "{{.Architecture}}", image).strip()
    path = folder / "images" / f"{name}-{release.version}-{architecture}.oci.tar"
    return write_archive(image, release.reference(name), path)


def _write_sbom(
    release: Release,
    name: str,
    released: Released,
    found: list[components.Component],
    at: datetime,
    folder: Path,
) -> None:
    if unknown := components.without_licence(found):
        raise StepFailed(
            f"The licences of {len(unknown)} components of the image {name} are unknown: "
            f"{', '.join(unknown[:5])}. If they are packages of Debian, the base image lacks their copyright "
            f"files: name another base image with BASE_IMAGE=."
        )
    text = sbom.sbom(name, release.version, released.digest, found, at)
    if objections := sbom.objections(text):
        raise StepFailed(f"The SBOM of {name} is not valid CycloneDX: {objections[0]}. Correct kind/release.")
    (folder / "sbom" / f"{name}.cdx.json").write_text(text, encoding="utf-8")


def write_installation(release: Release, digests: Mapping[str, str], serving: str, folder: Path) -> None:
    """Write the installation with pinned images, and the chart as an archive."""
    with step("Write the installation with pinned images") as current:
        install = folder / "install"
        current.run(
            [
                *(sys.executable, _INSTALL / "release_files.py", "--out", install),
                *("--image-registry", release.image_registry, "--serving-image", serving),
                *("--operator-digest", digests["operator"], "--gateway-digest", digests["gateway"]),
            ],
            advice="Read the end of the log.",
        )
        helm = golang.binary_path(golang.HELM)
        current.run([helm, "package", install / "chart", "--destination", folder], advice="Read the log.")


def write_client(release: Release, folder: Path) -> None:
    """Write the plugin for kubectl, its manifest if `url` is known, and the Python package."""
    with step("Write the client and the Python package") as current:
        krew: list[str | Path] = [
            sys.executable,
            places.REPOSITORY / "client/krew/build.py",
            "--out",
            folder / "client",
            *(("--url", release.url) if release.url else ()),
        ]
        current.run(krew, advice="Read the end of the log.")
        current.run(
            [
                packages.UV,
                "build",
                "--wheel",
                "--no-build-isolation",
                "--out-dir",
                folder / "client",
                places.REPOSITORY,
            ],
            advice="Read the end of the log.",
        )
        (folder / "client/.gitignore").unlink(missing_ok=True)


def file_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below `folder`, in hexadecimal, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write_provenance(
    release: Release, started_at: datetime, digests: Mapping[str, str], serving: str, folder: Path
) -> None:
    """Write the names of the images, the provenance, and the checksums of all files."""
    images = {name: f"{release.reference(name)}@{digest}" for name, digest in digests.items()}
    (folder / "images.json").write_text(json.dumps(images, indent=1) + "\n", encoding="utf-8")
    base = base_image.ensure_base()
    lock_files = {
        name: places.REPOSITORY / "requirements" / name for each in PROGRAMS for name in each.lock_files
    }
    source = provenance.Source(
        commit=git("rev-parse", "HEAD"),
        base_image=base,
        base_image_digest=docker.image_id(base) or "",
        lock_files={
            f"requirements/{name}": hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in lock_files.items()
        },
    )
    parameters = {
        "VERSION": release.version,
        "IMAGE_REGISTRY": release.image_registry,
        "SERVING_IMAGE": serving,
    }
    if release.url:
        parameters["RELEASE_URL"] = release.url
    files = file_digests(folder)
    subjects = files | {
        release.reference(name): digest.removeprefix("sha256:") for name, digest in digests.items()
    }
    text = provenance.statement(parameters, source, release.builder, started_at, subjects)
    (folder / "provenance.json").write_text(text, encoding="utf-8")
    files["provenance.json"] = hashlib.sha256(text.encode()).hexdigest()
    sums = "".join(f"{sha}  {path}\n" for path, sha in files.items())
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")


def cut(release: Release) -> Path:
    """Make the release; returns its folder. Raises StepFailed and DockerError."""
    started_at = datetime.now(UTC)
    check_sources(release.version)
    engine.ensure()
    golang.ensure([golang.HELM])
    committed_at = datetime.fromtimestamp(int(git("log", "-1", "--format=%ct")), UTC)
    final = places.REPOSITORY / ".build/release" / release.version
    folder = final.with_name(f".{release.version}.{os.getpid()}")
    folder.mkdir(parents=True)
    try:
        digests = write_images(release, committed_at, folder)
        with step("Find the digest of the model server") as current:
            ours = f"{release.reference('model-server')}@{digests['model-server']}"
            serving = pinned_serving_image(release.serving_image, ours, current)
            current.found(serving)
        write_installation(release, digests, serving, folder)
        write_client(release, folder)
        write_provenance(release, started_at, digests, serving, folder)
        places.replace_directory(folder, final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return final


def main(arguments: Sequence[str]) -> int:
    """Make the release that the command line describes, or set the version; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", help="such as 1.2.0")
    parser.add_argument("--set-version", action="store_true", help="only write the version into the sources")
    parser.add_argument("--image-registry", help="registry and path that the images will get")
    parser.add_argument("--serving-image", help=f"default model server with its digest, or {OURS!r}")
    parser.add_argument("--url", help="folder from which krew will download the client")
    parser.add_argument("--builder", help="URI of the machine or service that builds")
    options = parser.parse_args(arguments)
    try:
        if options.set_version:
            versions.set_version(places.REPOSITORY, options.version)
            print(f"Next, write the section `## [{options.version}]` of {versions.CHANGELOG}, and commit.")
            return 0
        check_registry(options.image_registry or "")
        release = Release(
            version=options.version,
            image_registry=options.image_registry,
            serving_image=options.serving_image or None,
            url=options.url or None,
            builder=options.builder or "urn:imageclassifier:a-machine-by-hand",
        )
        print(f"The release is in {cut(release)}. Continue with docs/releasing.md.")
    except (StepFailed, docker.DockerError, ValueError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0
