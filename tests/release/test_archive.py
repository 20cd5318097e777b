"""The archive of a released image: an OCI layout whose digest is known before any registry has it."""

import gzip
import hashlib
import io
import json
import tarfile

from images.layout import Archive, digest_of, image_manifest, read_archive, write_layout
from release.archive import compress

BASE, CODE = b"base " * 1000, gzip.compress(b"code " * 1000, mtime=0)
CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "config": {}}).encode()


def saved() -> io.BytesIO:
    """As `docker save` writes it: one layer is plain, one is compressed already, and one is there twice."""
    names = ["aa/layer.tar", "bb/layer.tar", "aa/layer.tar"]
    manifest = json.dumps([{"Config": "c0ffee.json", "RepoTags": ["x:1"], "Layers": names}]).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, content in (
            ("aa/layer.tar", BASE),
            ("bb/layer.tar", CODE),
            ("c0ffee.json", CONFIG),
            ("manifest.json", manifest),
        ):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def released() -> tuple[Archive, dict[str, bytes]]:
    """The image with compressed layers, and the files of its layout by path."""
    spool, packed, stream = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=saved(), mode="r|") as opened:
        archive = compress(read_archive(opened, frozenset(), spool), spool, packed)
    write_layout(archive, ["registry.example.org/team/gateway:1.2.0"], packed, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as layout:
        return archive, {entry.name: layout.extractfile(entry).read() for entry in layout}  # type: ignore[union-attr]


def blob(files: dict[str, bytes], digest: str) -> bytes:
    content = files["blobs/" + digest.replace(":", "/")]
    assert digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    return content


def test_the_digest_of_the_image_is_that_of_the_manifest_in_its_layout() -> None:
    archive, files = released()
    [entry] = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == digest_of(image_manifest(archive))
    manifest = json.loads(blob(files, entry["digest"]))
    assert blob(files, manifest["config"]["digest"]) == CONFIG
    layers = [blob(files, layer["digest"]) for layer in manifest["layers"]]
    assert [gzip.decompress(layer) for layer in layers] == [BASE, gzip.decompress(CODE), BASE]
    assert layers[1] == CODE
    assert {layer["mediaType"][-8:] for layer in manifest["layers"]} == {"tar+gzip"}


def test_the_same_image_gets_the_same_digest_again() -> None:
    (first, _), (second, _) = released(), released()
    assert image_manifest(first) == image_manifest(second)
