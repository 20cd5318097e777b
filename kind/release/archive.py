"""An image as an archive in the OCI format, with the digest that it gets in a registry."""

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from images.docker import SavedImage
from images.layout import Archive, Layer, digest_of, image_manifest, read_archive, write_layout
from release.contents import telling_files

_CHUNK_BYTES = 1 << 20
_COMPRESSION = 6


@dataclass(frozen=True)
class Released:
    """A written image: its digest and platform, its environment variables, and the files that describe it."""

    digest: str  # sha256:<64 hex digits>
    platform: str  # linux/amd64
    environment: dict[str, str]
    telling_files: dict[str, bytes]


def write_archive(image: str, reference: str, path: Path) -> Released:
    """Write the local image `image` to `path` as an OCI archive that contains the name `reference`.

    The layers are compressed here, so that the digest is known before the image is in a registry.
    """
    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
        compressed_spool = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
        saved = stack.enter_context(SavedImage(image))
        archive = read_archive(saved, frozenset(), spool)
        files = telling_files(_layers(archive, spool))
        compressed = compress(archive, spool, compressed_spool)
        with path.open("wb") as stream:
            write_layout(compressed, [reference], compressed_spool, stream)
    configuration = json.loads(archive.config)
    variables = configuration["config"].get("Env") or ()
    return Released(
        digest=digest_of(image_manifest(compressed)),
        platform=f"{configuration['os']}/{configuration['architecture']}",
        environment=dict(variable.split("=", 1) for variable in variables),
        telling_files=files,
    )


def compress(archive: Archive, spool: IO[bytes], target: IO[bytes]) -> Archive:
    """Compress the layers in `spool` into `target`; the result has their new digests. Repeatable."""
    done: dict[Layer, Layer] = {}
    for layer in dict.fromkeys(archive.layers):
        content = _content(layer, spool)
        offset = target.seek(0, 2)
        if layer.is_gzip:
            shutil.copyfileobj(content, target, _CHUNK_BYTES)
            done[layer] = replace(layer, offset=offset)
            continue
        hashed = _Hashed(target)
        with gzip.GzipFile(fileobj=hashed, mode="wb", compresslevel=_COMPRESSION, mtime=0) as packed:
            shutil.copyfileobj(content, packed, _CHUNK_BYTES)
        done[layer] = Layer(hashed.digest, target.tell() - offset, is_gzip=True, offset=offset)
    return replace(archive, layers=tuple(done[layer] for layer in archive.layers))


def _layers(archive: Archive, spool: IO[bytes]) -> Iterator[tarfile.TarFile]:
    for layer in archive.layers:
        mode = "r|gz" if layer.is_gzip else "r|"
        with tarfile.open(fileobj=_content(layer, spool), mode=mode) as opened:  # type: ignore[call-overload]
            yield opened


def _content(layer: Layer, spool: IO[bytes]) -> "_Limited":
    """The bytes of a layer, from the spool."""
    assert layer.offset is not None, "the archive was read with all of its layers"
    spool.seek(layer.offset)
    return _Limited(spool, layer.size_bytes)


class _Limited:
    """Reads at most `size_bytes` of a file, from its position."""

    def __init__(self, file: IO[bytes], size_bytes: int) -> None:
        self._file, self._left = file, size_bytes

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; all that are left if it is negative."""
        content = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        return content


class _Hashed:
    """Writes to a file and hashes what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, content: bytes) -> int:
        """Write and hash."""
        self._hash.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        """Do nothing: gzip asks for it."""
