"""The CPU time for preparing a picture, by what the contract of the model says. Prints a Markdown table.

python preparation.py [REPETITIONS]
"""

from __future__ import annotations

import sys
import time

import workloads

from imageclassifier_gateway.contract import Decoding, ModelInput
from imageclassifier_gateway.pixels.images import prepare

SIDE = 224
SIZES = ((512, 384), (1600, 1200), (4000, 3000))
#: The defaults of models without `decode`, those of new models, and faster ones.
INPUTS = {
    f"margin {margin:g}, {resize}": ModelInput(SIDE, SIDE, resize=resize, decode=Decoding(margin=margin))
    for resize in ("bilinear", "box")
    for margin in (2.0, 1.33, 0.85)
}


def milliseconds(picture: bytes, wanted: ModelInput, repetitions: int) -> float:
    """The least CPU time of all repetitions, which other work on the machine changes least."""
    found = []
    for _ in range(repetitions):
        began = time.process_time()
        prepare(picture, wanted)
        found.append(time.process_time() - began)
    return 1000 * min(found)


def main() -> None:
    repetitions = int((sys.argv[1:] or ["20"])[0])
    pictures = [workloads.photo_like(*size) for size in SIZES]
    print(f"| for an input of {SIDE} pixels | " + " | ".join(f"{w} x {h}" for w, h in SIZES) + " |")
    print("|---" * (1 + len(SIZES)) + "|")
    for name, wanted in INPUTS.items():
        cells = [f"{milliseconds(picture, wanted, repetitions):.1f}" for picture in pictures]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
