"""The notebooks run from top to bottom on drawn images, and are kept without outputs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
#: What the cell with the tag `parameters` is replaced with: a small network, one trial for each backbone.
PARAMETERS = {
    "01-explore": {"DATA": "photographs", "RUNS": "runs", "BACKBONE": "efficientnet_lite0@64", "FOLDS": 2},
    "02-train-and-choose": {
        "DATA": "photographs",
        "EXCLUDE": "runs/doubtful.csv",
        "RUNS": "runs",
        "MODELS": "models",
        "NAME": "colours",
        "MINUTES": 0.001,
        "BACKBONES": ("efficientnet_lite0@64",),
        "FOLDS": 2,
    },
    "03-score": {"MODEL": "models/colours", "IMAGES": "photographs", "RUNS": "runs"},
}


@pytest.fixture(scope="module")
def place(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the notebooks run, one after the other, with drawn images."""
    folder = tmp_path_factory.mktemp("notebooks")
    shutil.copytree(shared_data, folder / "photographs")
    return folder


def with_parameters(path: Path) -> Any:
    """The notebook, with the parameters of the test."""
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    names = [line.split(" = ")[0] for line in parameters.source.splitlines()]
    assert names == list(PARAMETERS[path.stem]), "the test sets each parameter of the notebook"
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in PARAMETERS[path.stem].items())
    return notebook


def test_the_notebooks_run_from_top_to_bottom(
    place: Path, cache: Path, costs_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share a kernel, which imports TensorFlow once, but none sees the names of the one before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (place / "runs").mkdir()
    shutil.copy(costs_file, place / "runs")
    assert [each.stem for each in NOTEBOOKS] == list(PARAMETERS)
    notebooks = {path.stem: with_parameters(path) for path in NOTEBOOKS}
    everything = nbformat.v4.new_notebook()
    for notebook in notebooks.values():
        everything.cells += [nbformat.v4.new_code_cell("%reset -f"), *notebook.cells]
    resources = {"metadata": {"path": str(place)}}
    NotebookClient(everything, timeout=300, kernel_name="python3", resources=resources).execute()
    shown = {
        name: "\n".join(
            str(output.get("text") or output.get("data"))
            for cell in notebook.cells
            for output in cell.get("outputs", [])
        )
        for name, notebook in notebooks.items()
    }
    assert "{'blue': 8, 'red': 8}" in shown["01-explore"]
    assert "accuracy 100.0%" in shown["02-train-and-choose"]
    assert "# colours, version 1" in shown["02-train-and-choose"]
    assert re.search(r"labels=\{'(blue|red)': 8, '(blue|red)': 8\}, failed=0, already=0", shown["03-score"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
