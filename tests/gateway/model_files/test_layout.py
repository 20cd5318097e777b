"""A version is found where TensorFlow Serving finds it. Otherwise the message says what lies there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imageclassifier_gateway.model_files.__main__ import REFUSED, main

FIELD = "spec.model.source.persistentVolumeClaim.path"


def search(root: Path, *arguments: str) -> int:
    """Search version 3 in a/b of a volume."""
    base = str(root / "a" / "b")
    return main(
        ["search", "--root", str(root), "--base", base, "--field", FIELD, "--version", "3", *arguments]
    )


def fill(root: Path, *files: str) -> None:
    """Empty files, and empty directories if the name ends with a slash."""
    for path in files:
        (root / path if path.endswith("/") else (root / path).parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            (root / path).touch()


@pytest.mark.parametrize(
    "files",
    [
        ["a/b/3/saved_model.pb"],
        ["a/b/0003/saved_model.pb", "a/b/2/saved_model.pb"],
        ["a/b/3/saved_model.pbtxt"],
        ["a/b/3/saved_model.pb", "a/b/03/README"],
    ],
)
def test_a_version_is_found_by_its_number(tmp_path: Path, files: list[str]) -> None:
    fill(tmp_path, *files)
    assert search(tmp_path) == 0


@pytest.mark.parametrize(
    ("files", "sentences"),
    [
        (
            [],
            [
                "There is no directory a/b. The volume contains nothing. Put the SavedModel into a/b/3, or",
                FIELD,
            ],
        ),
        (["a/c/3/saved_model.pb"], ["no directory a/b. a contains c/3/saved_model.pb."]),
        (["a/b/"], ["There is no directory a/b/3. a/b contains nothing. Put the SavedModel into a/b/3"]),
        (["a/b/3/"], ["a/b/3 has no saved_model.pb. a/b/3 contains nothing."]),
        (
            ["a/b/saved_model.pb", "a/b/variables/variables.index"],
            ["a/b contains the SavedModel itself: saved_model.pb, variables/", "Move the files into a/b/3."],
        ),
        (
            ["a/b/3/export/saved_model.pb", "a/b/3/export/variables/variables.index"],
            ["must lie directly in a/b/3, but it lies in a/b/3/export. Move the content of that directory"],
        ),
        (
            ["a/b/3/x/1/saved_model.pb", "a/b/3/x/2/saved_model.pb"],
            ["2 directories below it have one: a/b/3/x/1, a/b/3/x/2. Keep one model"],
        ),
        (
            ["a/b/1/saved_model.pb", "a/b/0002/saved_model.pb"],
            ["a/b has no version 3, only the versions 1, 2. Set spec.model.version to one that exists"],
        ),
        (["a/b/v3/saved_model.pb"], ["no directory a/b/3, only v3.", "Rename it to 3."]),
        (["a/b/Version_003/saved_model.pb"], ["only Version_003", "Rename it to 3."]),
        (
            ["a/b/3/flowers.keras"],
            ["flowers.keras is a Keras model, which is not served. Load it with", 'model.export("3")'],
        ),
        (["a/b/flowers.H5"], ["There is no directory a/b/3. a/b contains flowers.H5.", "is a Keras model"]),
        (["a/b/3/flowers.weights.h5"], ["has only the weights of a Keras model"]),
        (["a/b/3/deep/flowers.onnx"], ["contains deep/flowers.onnx. flowers.onnx is an ONNX model"]),
        (["a/b/3/flowers.tflite"], ["is a TensorFlow Lite model"]),
        (["a/b/3/flowers.tar.gz"], ["is an archive, which is not served. Unpack it."]),
        (["a/b/3/variables/variables.index"], ["The copy is incomplete. Copy the whole directory"]),
        (["a/b/3/README"], ["a/b/3 contains README. Put the SavedModel into a/b/3, or correct"]),
        (["a/b/3"], ["There is no directory a/b/3. a/b contains 3."]),
    ],
    ids=lambda value: value[0] if value else "nothing",
)
def test_what_lies_there_instead_is_in_the_message_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: list[str], sentences: list[str]
) -> None:
    fill(tmp_path, *files)
    assert search(tmp_path) == REFUSED
    [message] = capsys.readouterr().err.splitlines()
    for sentence in sentences:
        assert sentence in message
    assert str(tmp_path) not in message


@pytest.fixture
def volume_without_rights() -> Iterator[Path]:
    """A volume whose files this process, which root may have started, must not read."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        volume = Path(folder)
        volume.chmod(0o755)
        fill(volume, "a/b/3/saved_model.pb")
        (volume / "a/b").chmod(0)
        os.seteuid(65534 if user == 0 else user)
        yield volume
        os.seteuid(user)
        (volume / "a/b").chmod(0o755)


def test_a_directory_that_cannot_be_read_is_reported(
    volume_without_rights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(volume_without_rights) == REFUSED
    assert "a/b cannot be read: Permission denied. Make it readable" in capsys.readouterr().err


def test_the_search_in_a_large_volume_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, *(f"a/b/3/{folder}/{file:03}.jpg" for folder in range(30) for file in range(100)))
    assert search(tmp_path) == REFUSED
    [message] = capsys.readouterr().err.splitlines()
    assert len(message.encode()) < 1800
