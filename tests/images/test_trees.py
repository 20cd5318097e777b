"""What goes into a layer, and what of it depends on the files alone."""

import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from images.trees import File, digest, files_below, installed_files, is_needed, without_symbols, write_tar


@pytest.mark.parametrize(
    "path",
    [
        "tensorflow/include/Eigen/Core",
        "numpy/_core/tests/test_umath.py",
        "tensorflow/python/ops/math_ops_test.py",
        "numpy/__init__.pyi",
        "bin/flask",
        "clang/native/libclang.so",
        "grpc/__pycache__/__init__.cpython-311.pyc",
    ],
)
def test_headers_tests_stubs_and_scripts_stay_out(path: str) -> None:
    assert not is_needed(PurePosixPath(path))


@pytest.mark.parametrize(
    "path",
    [
        "tensorflow/libtensorflow_cc.so.2",
        "tensorflow/python/framework/test_util.py",  # imported by `import tensorflow`
        "grpc/_cython/_credentials/roots.pem",
        "flask-3.1.3.dist-info/METADATA",
        "include.py",
        "six.py",
    ],
)
def test_what_runs_stays_in(path: str) -> None:
    assert is_needed(PurePosixPath(path))


def a_library(symbols_bytes: int) -> bytes:
    """The least ELF file with one loaded segment, then symbols, then section headers."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    segment_end = 64 + 56 + 8
    struct.pack_into("<QQ", header, 0x20, 64, segment_end + symbols_bytes)  # e_phoff, e_shoff
    struct.pack_into("<HHHHH", header, 0x36, 56, 1, 64, 5, 4)
    program_header = bytearray(56)
    struct.pack_into("<Q", program_header, 32, segment_end)  # p_filesz, from offset 0
    return bytes(header) + bytes(program_header) + b"loaded!!" + b"s" * symbols_bytes + b"h" * 320


def test_a_library_is_cut_after_its_last_loaded_byte() -> None:
    stripped = without_symbols(a_library(2 << 20))
    assert stripped.endswith(b"loaded!!")
    assert struct.unpack_from("<Q", stripped, 0x28) == (0,)
    assert struct.unpack_from("<HHH", stripped, 0x3A) == (0, 0, 0)


@pytest.mark.parametrize(
    "content", [a_library(1000), b"\x7fELF\x01\x01" + b"x" * (2 << 20), b"#!/bin/sh\n", b""]
)
def test_small_gains_and_other_files_are_left_as_they_are(content: bytes) -> None:
    assert without_symbols(content) == content


@pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")
def test_a_cut_library_still_loads_and_works(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "adder.c"
    names = "\n".join(f"static int unused_{n:05}_{'x' * 200}(void) {{ return {n}; }}" for n in range(5000))
    source.write_text(f"{names}\nint add(int a, int b) {{ return a + b; }}\n")
    library = tmp_path / "adder.so"
    subprocess.run([compiler, "-O0", "-shared", "-fPIC", "-o", library, source], check=True)
    stripped = without_symbols(library.read_bytes())
    assert len(stripped) < library.stat().st_size - (1 << 20)
    library.write_bytes(stripped)
    program = f"import ctypes; print(ctypes.CDLL({str(library)!r}).add(2, 3))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "5\n"


def written(files: list[File]) -> bytes:
    stream = io.BytesIO()
    write_tar(files, stream)
    return stream.getvalue()


def test_the_same_files_make_the_same_archive_whenever_they_were_written(tmp_path: Path) -> None:
    archives = []
    for name, seconds in (("one", 1), ("two", 2_000_000_000)):
        for path in ("b.py", "a/c.py"):
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path)
            os.utime(file, (seconds, seconds))
        archives.append(written(list(files_below(tmp_path / name, "app"))))
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
        assert archive.getnames() == ["app/a/c.py", "app/b.py"]
        assert {(entry.mode, entry.uid, entry.mtime) for entry in archive} == {(0o644, 0, 0)}


def test_a_digest_changes_with_content_path_and_mode() -> None:
    files = [
        File(PurePosixPath("a"), b"1"),
        File(PurePosixPath("a"), b"2"),
        File(PurePosixPath("b"), b"1"),
        File(PurePosixPath("a"), b"1", executable=True),
    ]
    assert len({digest([file]) for file in files}) == 4


def test_installed_packages_lose_what_is_not_needed(tmp_path: Path) -> None:
    for path in ("p/__init__.py", "p/tests/test_x.py", "p/__pycache__/x.pyc", "bin/p"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    assert [str(file.path) for file in installed_files(tmp_path, "lib")] == ["lib/p/__init__.py"]
