"""Fixtures for the tests of the verification."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_verification import COLOURS
from gateway_testbed import picture


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twenty pizzas and twenty other things, which the model of these tests tells apart."""
    for label, colour in COLOURS.items():
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.jpg").write_bytes(picture(colour))
    return tmp_path
