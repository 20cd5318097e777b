"""The pizza models of the demo: two good versions and one bad one, exported once and cached."""

import os
import shutil
from pathlib import Path

from laptop import places
from laptop.progress import step

MODEL = "pizza-model"
#: The folder below examples/pizza with the training of each version. Version 3 has its classes swapped.
LEARNED = {1: "v1", 2: "v2", 3: "v1"}
MISLABELLED = 3


def ensure(versions: tuple[int, ...] = (1, 2, 3)) -> Path:
    """The directory with `pizza-model/<version>` for each version; exports what is missing."""
    sources = [
        *(places.REPOSITORY / "training/src").rglob("*.py"),
        *(places.REPOSITORY / "gateway/src/imageclassifier_gateway/contract").rglob("*.py"),
        *(places.REPOSITORY / "gateway/src/imageclassifier_gateway/pixels").rglob("*.py"),
        *(path for path in (places.REPOSITORY / "examples/pizza").rglob("*") if path.is_file()),
        places.REPOSITORY / "requirements/training.txt",
    ]
    directory = places.cached("models", places.digest([], sources))
    for version in versions:
        if not (directory / MODEL / str(version) / "saved_model.pb").exists():
            _export(version, directory)
    return directory


def _export(version: int, directory: Path) -> None:
    note = "bad on purpose" if version == MISLABELLED else "the locked backbone and what training learned"
    with step(f"Export version {version} of the pizza model", note) as current:
        learned = places.REPOSITORY / "examples/pizza" / LEARNED[version]
        if version == MISLABELLED:
            mixed_up = directory / "mislabelled"
            shutil.rmtree(mixed_up, ignore_errors=True)
            script = places.REPOSITORY / "examples/pizza/mislabel.py"
            current.run([_python(), script, learned, mixed_up], advice="Read the end of the log.")
            learned = mixed_up
        current.run(
            [
                _python(), "-m", "imageclassifier_training", "export", learned,
                "--name", MODEL, "--version", str(version), "--out", directory, "--replace",
            ],
            environment={"TF_CPP_MIN_LOG_LEVEL": "2", "COLUMNS": os.environ.get("COLUMNS", "110")},
            advice="Read the end of the log. `make venv` renews the Python environment.",
        )  # fmt: skip


def draw_pictures() -> dict[str, Path]:
    """Drawn images of a `pizza` and of something else (`not_pizza`)."""
    script = places.REPOSITORY / "examples/pizza/draw.py"
    directory = places.cached("pictures", places.digest([], [script]))
    pictures = {"pizza": directory / "pizza-0.jpg", "not_pizza": directory / "other-0.jpg"}
    if not all(path.exists() for path in pictures.values()):
        with step("Draw two pictures") as current:
            current.run([_python(), script, directory], advice="Read the end of the log.")
    return pictures


def draw_photographs(count: int = 40) -> Path:
    """A folder of drawn images for a training: `count` in each of the classes `pizza` and `not_pizza`."""
    script = places.REPOSITORY / "examples/pizza/draw.py"
    directory = places.cached("photographs", places.digest([str(count)], [script]))
    if not directory.exists():
        with step(f"Draw {2 * count} images") as current:
            drawn = directory.with_name(f"{directory.name}.part")
            shutil.rmtree(drawn, ignore_errors=True)
            advice = "Read the end of the log."
            current.run([_python(), script, drawn, "--count", str(count), "--by-class"], advice=advice)
            places.replace_directory(drawn, directory)
    return directory


def _python() -> Path:
    return places.REPOSITORY / ".venv/bin/python"
