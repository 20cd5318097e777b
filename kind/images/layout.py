"""From Docker's archive of an image to one that carries only what a node lacks.

`docker save` writes an archive with manifest.json, the image's configuration and every layer: up to Docker 24
as DIRECTORY/layer.tar, later as blobs named by their digest. containerd imports an OCI layout, whose blobs
are named by digest and may be left out when its content store has them already.
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import IO

from laptop.registry import named_registry

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_GZIP = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer of an image in an archive; `offset` is its place in the spool, None if it was left out."""

    digest: str  # sha256:<64 hex digits> of its bytes as they are, compressed or not
    size_bytes: int
    is_gzip: bool
    offset: int | None


@dataclass(frozen=True)
class Archive:
    """The configuration and the layers of one image in a `docker save` archive, base first."""

    config: bytes
    layers: tuple[Layer, ...]

    @property
    def carried_bytes(self) -> int:
        """The size of the layers that were not left out."""
        return sum(
            {layer.digest: layer.size_bytes for layer in self.layers if layer.offset is not None}.values()
        )


def docker_io(reference: str) -> str:
    """The full name in containerd of the image that Docker calls `reference`.

    >>> docker_io("pizza-model:1"), docker_io("imageclassifier/gateway:dev"), docker_io("example.org/x:1")
    ('docker.io/library/pizza-model:1', 'docker.io/imageclassifier/gateway:dev', 'example.org/x:1')
    >>> docker_io("docker.io/pizza-model:1")
    'docker.io/library/pizza-model:1'
    """
    short = reference.removeprefix("docker.io/")
    if named_registry(short):
        return reference
    return f"docker.io/{short}" if "/" in short else f"docker.io/library/{short}"


def read_archive(saved: tarfile.TarFile, present: Collection[str], spool: IO[bytes]) -> Archive:
    """Read a `docker save` stream of one image; copy layers that are not in `present` to `spool`."""
    documents: dict[str, bytes] = {}
    layers: dict[str, Layer] = {}
    links: dict[str, str] = {}
    for member in saved:
        content = saved.extractfile(member) if member.isfile() else None
        if member.issym():
            links[member.name] = resolved(member.name, member.linkname)
        elif content is not None and member.name.endswith(".json"):
            documents[member.name] = content.read()
        elif content is not None:
            layers[member.name] = _spooled(content, member.size, present, spool)
            if member.size < _CHUNK_BYTES and (offset := layers[member.name].offset) is not None:
                spool.seek(offset)  # it may be the configuration: from Docker 25 on that is a blob as well
                documents[member.name] = spool.read(member.size)
    (image,) = json.loads(documents["manifest.json"])
    found = tuple(layers[links.get(name, name)] for name in image["Layers"])
    return Archive(documents[image["Config"]], found)


def _spooled(content: IO[bytes], size_bytes: int, present: Collection[str], spool: IO[bytes]) -> Layer:
    offset = spool.seek(0, 2)
    hashed = hashlib.sha256()
    head = b""
    while chunk := content.read(_CHUNK_BYTES):
        head = head or chunk[:2]
        hashed.update(chunk)
        spool.write(chunk)
    digest = f"sha256:{hashed.hexdigest()}"
    if digest in present:
        spool.truncate(offset)
        return Layer(digest, size_bytes, head == _GZIP, None)
    return Layer(digest, size_bytes, head == _GZIP, offset)


def resolved(path: str, link: str) -> str:
    """The path in an archive or an image that a symbolic link at `path` points to.

    >>> resolved("b/layer.tar", "../a/layer.tar"), resolved("a/b/c", "/d"), resolved("a", "../../b")
    ('a/layer.tar', 'd', 'b')
    """
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(path), link)).lstrip("/")


def image_manifest(archive: Archive) -> bytes:
    """The manifest of the image. Its digest names the image in a registry that gets it as it is."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, digest_of(archive.config), len(archive.config)),
            "layers": [
                _descriptor(_LAYER_TYPE + "+gzip" * layer.is_gzip, layer.digest, layer.size_bytes)
                for layer in archive.layers
            ],
        }
    )


def write_layout(archive: Archive, references: Iterable[str], spool: IO[bytes], stream: IO[bytes]) -> None:
    """Write the image with several names as an OCI layout, with only the layers in the spool."""
    manifest = image_manifest(archive)
    target = _descriptor(_MANIFEST_TYPE, digest_of(manifest), len(manifest))
    names = [{"annotations": {"io.containerd.image.name": docker_io(reference)}} for reference in references]
    index = {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": [target | name for name in names]}
    with tarfile.open(fileobj=stream, mode="w|") as layout:
        _add(layout, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(layout, "index.json", _json(index))
        for document in (manifest, archive.config):
            _add(layout, _blob_path(digest_of(document)), document)
        for layer in dict.fromkeys(archive.layers):
            if layer.offset is not None:
                spool.seek(layer.offset)
                entry = tarfile.TarInfo(_blob_path(layer.digest))
                entry.size = layer.size_bytes
                layout.addfile(entry, spool)


def _add(layout: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    layout.addfile(entry, BytesIO(content))


def _blob_path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def digest_of(content: bytes) -> str:
    """The digest of a blob, `sha256:<64 hex digits>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, digest: str, size_bytes: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size_bytes}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
