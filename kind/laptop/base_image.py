"""The base image that our images and the node image start from: given, pulled, or made with debootstrap."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from laptop import apt, places, registry
from laptop.progress import Step, StepFailed, step

PULLED_BASE = "python:3.11-slim"
#: The options of debootstrap that do not depend on the machine.
_OPTIONS = ("--variant=minbase", "--include=ca-certificates,python3")
#: Directories that are emptied: caches, manuals and translations.
_EMPTIED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/man", "usr/share/locale")
#: The files in usr/share/doc that stay: the licences of the packages, which are shipped too.
_KEPT_DOCUMENT = "copyright"


@dataclass(frozen=True)
class Choice:
    """An image to use, and how to get it: `given` by the user, `pulled`, or `made`."""

    image: str
    how: str


def choose(given: str | None, made: str, made_is_present: bool, pulled: str, can_pull: bool) -> Choice:
    """Choose an image: the one that the user gave, else the one from the registry, else one that we make.

    An image that was made before is used again without asking a registry. A machine that goes online keeps
    its node image, and a repeated run does not wait for a registry.
    """
    if given:
        return Choice(given, "given")
    if made_is_present:
        return Choice(made, "made")
    return Choice(pulled, "pulled") if can_pull else Choice(made, "made")


def variable(name: str) -> str | None:
    """An environment variable; None when it is unset or empty."""
    return os.environ.get(name) or None


def present_or_pulled(given: str | None, made: str, pulled: str, current: Step) -> Choice:
    """Choose an image as `choose` does, pulling it when a registry has it."""
    made_is_present = registry.present(made)
    asks = not given and not made_is_present
    can_pull = asks and (registry.present(pulled) or registry.pull(pulled, current))
    choice = choose(given, made, made_is_present, pulled, can_pull)
    if (
        choice.how == "given"
        and not registry.present(choice.image)
        and not registry.pull(choice.image, current)
    ):
        raise StepFailed(
            f"The image {choice.image} is neither in the Docker Engine nor in its registry. Check its name."
        )
    return choice


def _distribution() -> tuple[str, str]:
    """The suite and the components of the machine's distribution."""
    release = apt.distribution()
    suite = release.get("VERSION_CODENAME", "")
    components = "main,universe" if release.get("ID") == "ubuntu" else "main"
    return suite, components


def made_base_name() -> str:
    """The name of the base image that this machine would make, with a hash of how it makes it."""
    suite, components = _distribution()
    values = [suite, components, *_OPTIONS, *_EMPTIED, _KEPT_DOCUMENT]
    return f"imageclassifier-base:{suite or 'none'}-{places.digest(values)}"


def ensure_base() -> str:
    """Get the base image into the engine; returns its name."""
    given, made = variable("BASE_IMAGE"), made_base_name()
    if not given and registry.present(made):
        return made
    with step("Get the base image") as current:
        choice = present_or_pulled(given, made, PULLED_BASE, current)
        if choice.how == "made" and not registry.present(made):
            _make_base(made, current)
        current.found(f"{choice.image} ({choice.how})")
    return choice.image


def _make_base(name: str, current: Step) -> None:
    suite, components = _distribution()
    address = apt.mirror(suite) if suite else None
    if address is None or not apt.can_install():
        raise StepFailed(
            "No registry answers, and an image can be made only as root on Debian or Ubuntu. Name images "
            "with BASE_IMAGE= and NODE_IMAGE=, or connect to a registry."
        )
    apt.install(["debootstrap"], current, "install debootstrap")
    keyring = "ubuntu-archive-keyring.gpg" if "universe" in components else "debian-archive-keyring.gpg"
    # /tmp may forbid devices and programs; the cache directory does not.
    places.cache_directory().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.cache_directory(), prefix="base-") as scratch:
        root = Path(scratch) / "root"
        current.run(
            [
                "debootstrap", *_OPTIONS,
                f"--components={components}", f"--keyring=/usr/share/keyrings/{keyring}",
                suite, root, address,
            ],
            advice="Read the end of the log. If the package mirror did not answer, run this again.",
        )  # fmt: skip
        _slim(root)
        archive = Path(scratch) / "root.tar"
        current.run(["tar", "-C", root, "--numeric-owner", "-cf", archive, "."], advice="Is the disk full?")
        current.run(
            ["docker", "import", "--change", 'CMD ["bash"]', archive, name],
            advice="Check that the disk of the Docker Engine is not full.",
        )


def _slim(root: Path) -> None:
    """Remove what nobody needs in a container."""
    for path in _EMPTIED:
        for entry in (root / path).glob("*"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    for entry in (root / "usr/share/doc").glob("*/*"):
        if not entry.parent.is_symlink() and entry.name != _KEPT_DOCUMENT:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
