"""The class file in the directory of a version is found and read, or refused with a list of its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageclassifier_gateway.contract.class_list import MAX_TEXT_BYTES
from imageclassifier_gateway.model_files.__main__ import REFUSED, main
from imageclassifier_gateway.model_files.class_file import read_class_file

MODEL = {"saved_model.pb": "", "variables/variables.index": ""}
LISTED = "Its directory contains saved_model.pb, variables/variables.index"


def directory(folder: Path, files: dict[str, str | bytes]) -> Path:
    """A folder with these files."""
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "assets.extra/labels.txt", "assets/labels.txt", "labels.txt", "Labels.TXT", "classes.json",
        "assets.extra/class_names.txt", "imagenet_class_index.json", "assets/ImageNetLabels.txt",
    ],
)  # fmt: skip
def test_a_file_with_a_usual_name_is_found(tmp_path: Path, path: str) -> None:
    text = '["cat", "dog"]' if path.endswith("json") else "cat\ndog\n"
    others: dict[str, str | bytes] = {"assets/vocabulary.txt": "a\nb", "assets.extra/requests": b"\xff"}
    assert read_class_file(directory(tmp_path, {**MODEL, **others, path: text}), None) == (path, text)


def test_a_path_in_the_spec_is_read_even_if_other_files_have_usual_names(tmp_path: Path) -> None:
    files = {"labels.txt": "a\nb", "my files/plants v2.txt": "\ufeffrose\ntulip"}
    found = read_class_file(directory(tmp_path, dict(files)), "my files/plants v2.txt")
    assert found == ("my files/plants v2.txt", "rose\ntulip")


@pytest.mark.parametrize(
    ("files", "path", "sentences"),
    [
        ({}, None, ["no class file with a usual name", LISTED, "list the classes in spec.classes"]),
        ({"README": ""}, "names.txt", ["no file names.txt", "contains README, saved_model.pb", "Correct"]),
        ({"assets.extra/labels.txt": "a\nb"}, "assets.extra", ["has no file assets.extra."]),
        (
            {"labels.txt": "a\nb", "assets/classes.txt": "b\na"},
            None,
            ["2 files that may contain its classes: assets/classes.txt, labels.txt. Set spec.classesFrom"],
        ),
        ({"labels.txt": " \n"}, None, ["labels.txt of the model is empty"]),
        ({"labels.json": '["cat", 7]'}, None, ["Class 1 of labels.json of the model is 7"]),
        ({"labels.txt": "Käse".encode("latin-1")}, None, ["labels.txt", "not text in UTF-8"]),
        ({"labels.txt": b"x" * (MAX_TEXT_BYTES + 1)}, None, ["more than 4,194,304 bytes"]),
    ],
)
def test_a_class_file_that_cannot_be_used_is_refused_in_the_last_line_of_the_output(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str | bytes],
    path: str | None,
    sentences: list[str],
) -> None:
    directory(tmp_path / "models" / "1", {**MODEL, **files})
    out = tmp_path / "out"
    arguments = ["classes", "--base", str(tmp_path / "models"), "--version", "1", "--out", str(out)]
    assert main([*arguments, *(["--file", path] if path else [])]) == REFUSED
    message = capsys.readouterr().err.splitlines()[-1]
    for sentence in sentences:
        assert sentence in message
    assert not out.exists()


def test_the_listing_of_a_directory_is_bounded_also_with_long_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number:04}\n{'é' * 120}" for number in range(300)]
    directory(tmp_path / "1", {"a/b/c/d/e": "", **dict.fromkeys(names, "")})
    base = str(tmp_path)
    assert main(["classes", "--base", base, "--version", "1", "--out", base]) == REFUSED
    [message] = capsys.readouterr().err.splitlines()
    assert "and 289 more" in message
    assert len(message) < 1500
