"""The files of a layer: which are left out, and reproducible tar archives of the rest."""

import hashlib
import io
import struct
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

# Not needed at run time: nothing is compiled, tested or type-checked in the container.
_LEFT_OUT_DIRECTORIES = frozenset({"__pycache__", "include", "tests"})
_LEFT_OUT_SUFFIXES = frozenset({".a", ".h", ".hpp", ".lib", ".pxd", ".pyi", ".pyc", ".pyx"})
# uv's own marks; console scripts, which name the build machine's Python; and libclang, which TensorFlow
# requires but imports nowhere: 61 MB.
_LEFT_OUT_TOP_LEVEL = frozenset({".lock", "bin", "clang"})

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_WORTH_STRIPPING_BYTES = 1 << 20


@dataclass(frozen=True)
class File:
    """A regular file of a layer: its path in the archive, its content and whether it is executable."""

    path: PurePosixPath
    content: bytes
    executable: bool = False


def is_needed(path: PurePosixPath) -> bool:
    """Whether a file of the installed packages is needed at run time; `path` is relative to them."""
    return not (
        path.parts[0] in _LEFT_OUT_TOP_LEVEL
        or _LEFT_OUT_DIRECTORIES.intersection(path.parts[:-1])
        or path.suffix in _LEFT_OUT_SUFFIXES
        or path.name.endswith("_test.py")
    )


def without_symbols(library: bytes) -> bytes:
    """Cut a shared library after its last loaded byte, which saves 200 of TensorFlow's 790 MB.

    Behind that byte are symbol tables for debuggers and the section headers. The dynamic loader reads only
    program headers (System V ABI, "Program Loading"). Files other than 64-bit little-endian ELF are returned
    unchanged, and so are those with little to save.
    """
    if not library.startswith(_ELF64_LITTLE_ENDIAN):
        return library
    program_headers_at, entry_bytes, count = (
        *struct.unpack_from("<Q", library, 0x20),
        *struct.unpack_from("<HH", library, 0x36),
    )
    end = program_headers_at + entry_bytes * count
    for index in range(count):
        # p_offset at 8, p_filesz at 32 of each program header
        header = program_headers_at + index * entry_bytes
        end = max(end, sum(struct.unpack_from("<Q", library, header + at)[0] for at in (8, 32)))
    if len(library) - end < _WORTH_STRIPPING_BYTES:
        return library
    stripped = bytearray(library[:end])
    struct.pack_into("<Q", stripped, 0x28, 0)  # e_shoff
    struct.pack_into("<HHH", stripped, 0x3A, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    return bytes(stripped)


def files_below(directory: Path, target: str) -> Iterator[File]:
    """The regular files below `directory`, sorted, with paths below `target`, without bytecode."""
    for path in sorted(directory.rglob("*")):
        relative = PurePosixPath(path.relative_to(directory).as_posix())
        if path.is_file() and "__pycache__" not in relative.parts:
            yield File(target / relative, path.read_bytes(), bool(path.stat().st_mode & 0o100))


def installed_files(directory: Path, target: str) -> Iterator[File]:
    """The files of installed packages that are needed at run time, without debugging symbols."""
    for path in sorted(directory.rglob("*")):
        relative = PurePosixPath(path.relative_to(directory).as_posix())
        if path.is_file() and is_needed(relative):
            content = path.read_bytes()
            yield File(target / relative, without_symbols(content) if ".so" in path.name else content)


def digest(files: Iterable[File]) -> str:
    """The SHA-256, in hexadecimal, of paths, contents and modes, in the order given."""
    total = hashlib.sha256()
    for file in files:
        content = hashlib.sha256(file.content).hexdigest()
        total.update(f"{file.path}\0{content}\0{file.executable}\n".encode())
    return total.hexdigest()


def write_tar(files: Iterable[File], stream: IO[bytes]) -> None:
    """Write a tar archive that depends on the files only: owner root, time 0, readable by everyone."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(str(file.path))
            entry.size = len(file.content)
            entry.mode = 0o755 if file.executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
