"""The components of an image, with their licences: Debian's packages, Python's packages and Python itself."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from email.message import Message
from pathlib import PurePosixPath

from packageurl import PackageURL

from release.contents import PYTHON_LICENCE

_DISTRIBUTION_INFO = re.compile(r"(?P<folder>(?:.+/)?[^/]+\.dist-info)/METADATA")
_NO_LICENCE = {"", "UNKNOWN", "unknown"}
_LONGEST_NAME = 100  # characters; longer texts in the field License are the licence itself


@dataclass(frozen=True)
class Component:
    """A part of an image: `licences` as the package declares them, and `texts` of licences by file name."""

    name: str
    version: str
    purl: str  # pkg:deb/debian/bash@5.2.15?arch=amd64
    licences: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    parts: tuple["Component", ...] = ()  # what a wheel contains besides its own code, as it says itself


def components(files: Mapping[str, bytes], environment: Mapping[str, str]) -> list[Component]:
    """The components of an image; `files` are its telling files, `environment` is from its configuration."""
    found = [*_debian(files), *_python_packages(files), *_python(files, environment)]
    return sorted(found, key=lambda each: (each.purl.split("/")[0], each.name, each.version))


def without_licence(found: list[Component]) -> list[str]:
    """The components that neither declare a licence nor contain the text of one."""
    return [f"{each.name} {each.version}" for each in found if not each.licences and not each.texts]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _debian(files: Mapping[str, bytes]) -> Iterator[Component]:
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', _text(files.get("usr/lib/os-release", b"")), re.M))
    distribution = release.get("ID", "debian")
    qualifiers = {"distro": f"{distribution}-{release.get('VERSION_ID', '')}"}
    records = [_text(files[path]) for path in sorted(files) if path.startswith("var/lib/dpkg/status")]
    for paragraph in re.split(r"\n\n+", "\n\n".join(records)):
        package = message_from_string(paragraph.strip())
        if not package["Package"] or not package.get("Status", "ok installed").endswith("ok installed"):
            continue
        name, version = package["Package"], package["Version"]
        purl = PackageURL("deb", distribution, name, version, {"arch": package["Architecture"], **qualifiers})
        copyright_text = _text(files.get(f"usr/share/doc/{name}/copyright", b""))
        texts = (("copyright", copyright_text),) if copyright_text else ()
        yield Component(name, version, str(purl), debian_licences(copyright_text), texts)


def debian_licences(copyright_text: str) -> tuple[str, ...]:
    r"""The short names of licences in a copyright file of Debian, none if it is not in Debian's format.

    >>> debian_licences("Format: https://www.debian.org/doc/x\n\nFiles: *\nLicense: GPL-2+\n text")
    ('GPL-2+',)
    """
    if not copyright_text.startswith("Format:"):
        return ()
    return tuple(dict.fromkeys(re.findall(r"^License: *(\S.*?) *$", copyright_text, re.MULTILINE)))


def _python_packages(files: Mapping[str, bytes]) -> Iterator[Component]:
    for path in sorted(files):
        if match := _DISTRIBUTION_INFO.fullmatch(path):
            yield _python_package(files, match["folder"], message_from_string(_text(files[path])))


def _python_package(files: Mapping[str, bytes], folder: str, metadata: Message) -> Component:
    inside = {
        path.removeprefix(f"{folder}/"): _text(files[path])
        for path in sorted(files)
        if path.startswith(f"{folder}/") and not path.endswith("/METADATA")
    }
    name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
    version = metadata["Version"]
    texts = tuple(each for each in inside.items() if not each[0].startswith("sboms/"))
    parts = tuple(
        part for each, text in inside.items() if each.startswith("sboms/") for part in _parts_of_wheel(text)
    )
    purl = PackageURL("pypi", None, name, version)
    return Component(name, version, str(purl), python_licences(metadata), texts, parts)


def python_licences(metadata: Message) -> tuple[str, ...]:
    """The licences that a Python package declares: an SPDX expression, a name, or classifiers."""
    if expression := metadata["License-Expression"]:
        return (expression,)
    name = " ".join((metadata["License"] or "").split())
    if name not in _NO_LICENCE and len(name) <= _LONGEST_NAME:
        return (name,)
    classifiers = [each.split(" :: ") for each in metadata.get_all("Classifier", [])]
    return tuple(each[-1] for each in classifiers if each[0] == "License" and len(each) > 2)


def _parts_of_wheel(text: str) -> Iterator[Component]:
    """The components of an SBOM inside a wheel (PEP 770), in CycloneDX; none of an SBOM in another format."""
    document = json.loads(text)
    for each in document.get("components", ()) if document.get("bomFormat") == "CycloneDX" else ():
        if each.get("purl"):
            licences = [choice.get("license", choice) for choice in each.get("licenses", ())]
            names = (choice.get("id") or choice.get("name") or choice["expression"] for choice in licences)
            yield Component(each["name"], each.get("version", ""), each["purl"], tuple(names))


def _python(files: Mapping[str, bytes], environment: Mapping[str, str]) -> Iterator[Component]:
    """Python, if the image does not have Debian's: the images `python` of Docker name its version."""
    if version := environment.get("PYTHON_VERSION"):
        purl = PackageURL("generic", None, "python", version)
        texts = tuple(
            (PurePosixPath(path).name, _text(files[path]))
            for path in sorted(files)
            if re.fullmatch(PYTHON_LICENCE, path)
        )
        yield Component("python", version, str(purl), ("PSF-2.0",), texts)
