"""`make train-demo`: from photographs to a version that serves.

Explores the images, searches for good trainings, shows the leaderboard, and chooses the champion. Then
exports it as the next version of the pizza model and rolls it out on the demo cluster, while requests are
sent.
"""

import json
import math
import os
import subprocess
from pathlib import Path

from laptop import demo, models, places, product, python_environment

#: The first version that the demo exports; `make demo` has versions 1 to 3.
FIRST_VERSION = 4
_MINUTES = 10.0
_ADVICE = "Its message is above. `make train-demo` continues from there."


def run() -> None:
    """Run the whole demo. The images are those of DATA, or drawn; the search takes MINUTES minutes."""
    minutes = _minutes(os.environ.get("MINUTES", ""))
    data = _data(os.environ.get("DATA", ""))
    python_environment.ensure()
    photographs = data or models.draw_photographs()
    folder = _folder(photographs)
    train(photographs, folder, minutes)
    demo.prepare_cluster()
    serving = product.imageclassifier(demo.NAME)
    if not serving:
        demo.bring_up()
        serving = product.imageclassifier(demo.NAME)
    version = next_version(serving)
    product.ensure_images(export(folder, version))
    patch = json.dumps({"spec": {"model": {"version": version}, "rollout": None}})
    tally = demo.roll_out(version, _first_picture(photographs), "--patch", patch)
    demo.show("get", "imageclassifiers")
    print(f"Version {version} serves: http://localhost:{product.GATEWAY_PORT}")
    if tally.failures:
        raise SystemExit(f"{len(tally.failures)} requests failed. The first error: {tally.failures[0]}")


def train(photographs: Path, folder: Path, minutes: float) -> None:
    """Explore, search, show the leaderboard, choose the champion. A search that was interrupted continues."""
    folder.mkdir(parents=True, exist_ok=True)
    search = folder / "search"
    _command("explore", photographs, "--html", folder / "data.html")
    _command("search", photographs, "--minutes", f"{minutes:g}", "--out", search)
    _command("champion", search)
    print(f"Reports: {folder / 'data.html'} and {search / 'leaderboard.html'}")


def export(folder: Path, version: int) -> Path:
    """Export the champion as a version of the pizza model; returns the directory with the model."""
    directory = folder / "models" / str(version)
    _command(
        "export", folder / "search", "--name", models.MODEL, "--version", str(version),
        "--out", directory, "--replace",
    )  # fmt: skip
    return directory


def next_version(imageclassifier: dict[str, object]) -> int:
    """The version to export: a version that has been rolled out must not change."""
    spec = imageclassifier.get("spec")
    asked = spec["model"]["version"] if isinstance(spec, dict) else 0
    return max(FIRST_VERSION, int(asked) + 1)


def _command(*arguments: str | Path) -> None:
    """Run a command of training. Its output goes to the terminal, because it is what the demo shows."""
    print(f"$ imageclassifier-training {' '.join(map(str, arguments))}", flush=True)
    program = places.REPOSITORY / ".venv/bin/imageclassifier-training"
    result = subprocess.run([program, *arguments], check=False)
    if result.returncode != 0:
        raise SystemExit(f"imageclassifier-training ended with code {result.returncode}. {_ADVICE}")


def _folder(photographs: Path) -> Path:
    """Where the results of these images go; a search cannot continue with other images."""
    name = f"{photographs.name}-{places.digest([str(photographs.resolve())])[:8]}"
    return places.REPOSITORY / ".build/train-demo" / name


def _first_picture(photographs: Path) -> Path:
    endings = {".jpg", ".jpeg", ".png", ".webp"}
    found = next((each for each in sorted(photographs.rglob("*")) if each.suffix.lower() in endings), None)
    if found is None:
        raise SystemExit(f"{photographs} has no JPEG, PNG or WebP file to send to the gateway.")
    return found


def _data(text: str) -> Path | None:
    if text and not Path(text).is_dir():
        raise SystemExit(
            f"DATA={text} is not a folder. Give a folder with one subfolder of images for each class."
        )
    return Path(text).resolve() if text else None


def _minutes(text: str) -> float:
    try:
        minutes = float(text or _MINUTES)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise SystemExit(f"MINUTES={text} must be a number above 0.")
    return minutes
