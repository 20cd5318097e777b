"""Files are written as a whole or not at all, and an error says which one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from imageclassifier_training.files import write_atomically


def test_a_full_disk_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'features.npz'}'"):
        write_atomically(tmp_path / "features.npz", b"x")
    assert not list(tmp_path.iterdir())
