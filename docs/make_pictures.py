"""Make the pictures of the README and of Serve your model: the page, the demo and an evaluation report.

Run `make demo` first and keep its output; the page is photographed from the running demo:

    make demo | tee /tmp/demo.log
    .venv/bin/python docs/make_pictures.py /tmp/demo.log

The report needs only the models (`make models`). Without the demo's output, only the report is made.

All images are drawn by examples/pizza/draw.py: none is a photograph.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

REPOSITORY = Path(__file__).parents[1]
PICTURES = REPOSITORY / "docs/images"
SHOWN_FROM = "Install the operator"
"""The demo's output is shown from this step on: what comes before is the set-up of the machine."""
COLUMNS = 112
MAX_SIDE = 1000
"""Pixels of the longer side."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("demo_log", nargs="?", type=Path, help="what `make demo` printed")
    parser.add_argument(
        "--gateway", default="http://localhost:8080", help="URL of the demo's page (%(default)s)"
    )
    parser.add_argument(
        "--model", type=Path, help="folder of the model for the report (models/pizza-model/2)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        data = _draw_images(Path(folder))
        if options.demo_log is not None:
            draw_terminal(options.demo_log.read_text(encoding="utf-8"), PICTURES / "demo.svg")
            photograph_page(browser, options.gateway, data, PICTURES / "page.png")
        model = options.model or REPOSITORY / "models/pizza-model/2"
        photograph_report(browser, model, data, PICTURES / "report.png")
        browser.close()
    return 0


def draw_terminal(log: str, out: Path) -> None:
    """Draw the demo's output as a terminal: each finished step, the tables and the answers."""
    lines = [line for line in log.splitlines() if not line.startswith("…")]
    first = next(index for index, line in enumerate(lines) if SHOWN_FROM in line)
    last = next(index for index, line in enumerate(lines) if line.startswith("Version 2 is Ready"))
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text("$ make demo", style="bold"))
    console.print(Text("✓ … machine, cluster, models and images", style="green"))
    for line in lines[first : last + 1]:
        shown = re.sub(r"(?:/[\w.-]+)+/(?=[\w-]+\.jpg)", "", line)  # without the folders of this machine
        style = "green" if shown.startswith("✓") else "bold" if shown.startswith("$") else ""
        console.print(Text(shown, style=style))
    out.write_text(console.export_svg(title="make demo", theme=MONOKAI), encoding="utf-8")


def photograph_page(browser: Browser, url: str, data: Path, out: Path) -> None:
    """Classify two drawn images on the page, and keep what it shows: without heat maps, and with them."""
    page = browser.new_context(
        viewport={"width": 900, "height": 640}, device_scale_factor=2, color_scheme="light"
    ).new_page()
    page.goto(url)
    images = [data / "pizza/pizza-0.jpg", data / "not_pizza/other-0.jpg"]
    page.locator("#files").set_input_files(images)
    expect(page.locator(".card:not(.waiting)")).to_have_count(2)
    _save(page.screenshot(full_page=True), out)
    page.get_by_label("Show where the model looked").check()
    expect(page.locator(".card img[src^='data:image/png']")).to_have_count(2)
    _save(page.screenshot(full_page=True), out.with_stem("heat-maps"))


def photograph_report(browser: Browser, model: Path, data: Path, out: Path) -> None:
    """Evaluate the model on the drawn images and keep the top of the report."""
    report = data.parent / "report.html"
    subprocess.run(
        [sys.executable, "-m", "imageclassifier_training", "evaluate", model, data, "--html", report],
        check=True,
    )
    page = browser.new_context(
        viewport={"width": 1160, "height": 1160}, device_scale_factor=2, color_scheme="light"
    ).new_page()
    page.goto(report.as_uri())
    _save(page.screenshot(), out)


def _draw_images(folder: Path) -> Path:
    drawn, data = folder / "drawn", folder / "images"
    subprocess.run(
        [sys.executable, REPOSITORY / "examples/pizza/draw.py", drawn, "--count", "20"], check=True
    )
    for label, kind in (("pizza", "pizza"), ("not_pizza", "other")):
        (data / label).mkdir(parents=True)
        for path in drawn.glob(f"{kind}-*.jpg"):
            path.rename(data / label / path.name)
    return data


def _save(png: bytes, out: Path) -> None:
    """Save a small file: a README should load at once."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    image.quantize(128, dither=Image.Dither.NONE).save(out, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
