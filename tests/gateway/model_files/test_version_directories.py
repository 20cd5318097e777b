"""Directories are versions if TensorFlow Serving takes them for versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from imageclassifier_gateway.model_files.version_directories import version_directory


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["3"], "3"),
        (["0003", "2", "v3"], "0003"),
        (["0003", "3", "03"], "3"),
        ([" 3"], " 3"),
        (["v3", "3.0", "30", "-3", "³", "1e0"], None),
        ([f"{2**64 + 3}"], None),
        ([], None),
    ],
)
def test_the_directory_of_version_3_is_found_whatever_its_zeros(
    tmp_path: Path, names: list[str], found: str | None
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert version_directory(tmp_path, 3) == (None if found is None else tmp_path / found)


def test_a_file_is_no_version_and_a_link_to_a_directory_is_one(tmp_path: Path) -> None:
    (tmp_path / "3").write_text("")
    (tmp_path / "run-42").mkdir()
    assert version_directory(tmp_path, 3) is None
    (tmp_path / "03").symlink_to("run-42")
    assert version_directory(tmp_path, 3) == tmp_path / "03"
