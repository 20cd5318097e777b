"""From the layers of an image to its components, its SBOM and the file of licences."""

import io
import json
import re
import tarfile
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

import pytest

from release import components, contents, licences, sbom

AT = datetime(2026, 11, 29, tzinfo=UTC)
DIGEST = "sha256:" + "1f" * 32
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
STATUS = """\
Package: gcc-12-base
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14
Description: GCC
 The GNU Compiler Collection.

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-3+
 See /usr/share/common-licenses/GPL-3.

Files: lib*
License: LGPL-2.1+
"""
WHEELS = ("Flask", "rpds-py", "numpy")


def layer(files: dict[str, str | bytes], links: dict[str, str] | None = None) -> tarfile.TarFile:
    """A layer as Docker saves it. The links stand first: a layer is not sorted."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    stream.seek(0)
    return tarfile.open(fileobj=stream, mode="r|")


def installed(name: str) -> dict[str, str | bytes]:
    """The records of a package that is installed here, as they lie in our images."""
    found: dict[str, str | bytes] = {}
    for file in distribution(name).files or ():
        if file.parts[0].endswith(".dist-info"):
            found[f"app/lib/{file}"] = Path(str(file.locate())).read_bytes()
    return found


DEBIAN = {
    "./usr/lib/os-release": OS_RELEASE,
    "./var/lib/dpkg/status": STATUS,
    "./usr/share/doc/gcc-12-base/copyright": COPYRIGHT,
    "./usr/share/doc/gcc-12-base/changelog.gz": b"\x1f\x8b",
    "./usr/share/common-licenses/GPL-3": "GNU GENERAL PUBLIC LICENSE",
}


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    base = layer(DEBIAN, {"./usr/share/doc/libgcc-s1": "gcc-12-base"})
    wheels = layer({path: content for name in WHEELS for path, content in installed(name).items()})
    return contents.telling_files([base, wheels])


@pytest.fixture(scope="module")
def found(files: dict[str, bytes]) -> dict[str, components.Component]:
    return {each.name: each for each in components.components(files, {})}


def test_installed_packages_of_debian_are_components_with_their_licences(
    found: dict[str, components.Component],
) -> None:
    for name in ("gcc-12-base", "libgcc-s1"):  # the folder of the second is a link to that of the first
        assert found[name].purl == f"pkg:deb/debian/{name}@12.2.0-14?arch=amd64&distro=debian-12"
        assert found[name].licences == ("GPL-3+", "LGPL-2.1+")
        assert found[name].texts == (("copyright", COPYRIGHT),)
    assert "gone" not in found


def test_packages_of_python_are_components_with_their_licences_and_what_their_wheels_contain(
    found: dict[str, components.Component],
) -> None:
    flask = found["flask"]
    assert flask.purl == f"pkg:pypi/flask@{distribution('Flask').version}"
    assert flask.licences == ("BSD-3-Clause",)
    assert any("Redistribution and use" in text for _, text in flask.texts)
    assert "pyo3" in {part.name for part in found["rpds-py"].parts}


def test_a_later_layer_replaces_and_removes_files_of_an_earlier_one() -> None:
    later = {
        "usr/lib/os-release": "ID=other\nVERSION_ID=3\n",
        "usr/share/doc/gcc-12-base/.wh.copyright": "",
        "app/lib/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n",
        "app/lib/b-1.dist-info/METADATA": "Name: b\nVersion: 1\n",
    }
    last = {"app/lib/.wh.a-1.dist-info": "", "usr/share/common-licenses/.wh..wh..opq": ""}
    files = contents.telling_files([layer(DEBIAN), layer(later), layer(last)])
    assert set(files) == {"usr/lib/os-release", "var/lib/dpkg/status", "app/lib/b-1.dist-info/METADATA"}
    found = components.components(files, {})
    assert found[0].purl == "pkg:deb/other/gcc-12-base@12.2.0-14?arch=amd64&distro=other-3"
    assert components.without_licence(found) == ["gcc-12-base 12.2.0-14", "libgcc-s1 12.2.0-14", "b 1"]


def test_the_python_of_dockers_image_is_a_component() -> None:
    text = "PYTHON SOFTWARE FOUNDATION LICENSE"
    folder = "usr/local/lib/python3.11"
    pip = {
        f"{folder}/site-packages/pip-24.0.dist-info/METADATA": "Name: pip\nVersion: 24.0\n",
        f"{folder}/site-packages/pip-24.0.dist-info/LICENSE.txt": "MIT",
    }
    files = contents.telling_files([layer({f"{folder}/LICENSE.txt": text, **pip})])
    [python, other] = components.components(files, {"PYTHON_VERSION": "3.11.14"})
    assert (python.purl, python.texts) == ("pkg:generic/python@3.11.14", (("LICENSE.txt", text),))
    assert (other.name, other.texts) == ("pip", (("LICENSE.txt", "MIT"),))


def test_the_sbom_names_the_image_by_its_digest_and_is_valid_cyclonedx(
    found: dict[str, components.Component],
) -> None:
    text = sbom.sbom("gateway", "1.2.0", DIGEST, found.values(), AT)
    assert sbom.objections(text) == []
    document = json.loads(text)
    image = document["metadata"]["component"]
    assert (image["name"], image["version"]) == ("gateway", "1.2.0")
    assert image["hashes"] == [{"alg": "SHA-256", "content": DIGEST.removeprefix("sha256:")}]
    assert {each["purl"] for each in document["components"]} == {each.purl for each in found.values()}
    assert json.loads(sbom.sbom("gateway", "1.2.0", DIGEST, found.values(), AT)) == document


def test_the_schema_objects_to_an_sbom_that_is_not_cyclonedx(
    found: dict[str, components.Component],
) -> None:
    document = json.loads(sbom.sbom("gateway", "1.2.0", DIGEST, found.values(), AT))
    document["components"][0]["type"] = "thing"
    assert any("thing" in each for each in sbom.objections(json.dumps(document)))


def test_the_file_of_licences_has_each_component_once_and_each_text_once(
    found: dict[str, components.Component], files: dict[str, bytes]
) -> None:
    images = {"operator": [found["libgcc-s1"]], "gateway": list(found.values())}
    common = {"usr/share/common-licenses/GPL-3": files["usr/share/common-licenses/GPL-3"].decode()}
    text = licences.licences("1.2.0", "Apache License", images, common)
    pattern = r"^{} 12.2.0-14: GPL-3\+; LGPL-2.1\+ \[(\d+)\] \({}\)$"
    [number] = re.findall(pattern.format("gcc-12-base", "gateway"), text, re.MULTILINE)
    assert re.findall(pattern.format("libgcc-s1", "operator, gateway"), text, re.MULTILINE) == [number]
    assert f"[{number}]\n{'=' * 100}\n{COPYRIGHT}" in text
    assert text.count("See /usr/share/common-licenses/GPL-3.") == 1
    assert "[/usr/share/common-licenses/GPL-3]" in text
    assert f"[1]\n{'=' * 100}\nApache License\n" in text
