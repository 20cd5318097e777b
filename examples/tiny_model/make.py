#!/usr/bin/env python
"""Makes a model of a few kilobytes that follows the model contract: it distinguishes light and dark images.

It is for tests, benchmarks and trying rollouts, where a real network would only take time. Each bad variant
is bad in one way; `legacy` is a good model in the form of older exports, without a contract.

    examples/tiny_model/make.py models                                    # models/tiny/1
    examples/tiny_model/make.py models --version 2 --variant inverted
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from imageclassifier_gateway.contract import (
    MAPS_TENSOR,
    PROBABILITIES_TENSOR,
    Contract,
    Decoding,
    Explanation,
    Golden,
    ModelClass,
    ModelInput,
)
from imageclassifier_training.exporting import export, golden, saved_model

SIDE = 32
#: The side of a place in the maps of `explained`.
PLACE = 8
#: The mean brightness (0 to 255) above which an image is light, and the width of the transition.
MIDDLE, WIDTH = 127.5, 24.0
#: `crash` allocates its memory only for images of at least this brightness: completely white ones.
WHITE = 254.5

VARIANTS = {
    "good": "returns correct predictions",
    "inverted": "swaps light and dark; its golden images agree with it",
    "slow": "computes --slow-steps matrix products per batch",
    "flaky": "returns no number for --flaky-percent of the plain images but black, grey and white, by chance",
    "crash": "allocates --crash-gigabytes of memory for a white image, and is killed if there is less",
    "wrong-signature": "names its input `images`",
    "corrupt": "cannot be loaded: its saved_model.pb is truncated",
    "bad-golden": "has golden images with wrong probabilities",
    "srgb": "converts the colours of images that have a colour profile",
    "explained": "also says where in the image a prediction comes from, on a grid of 4 by 4 places",
    "legacy": "takes float32 pixels from -1 to 1, returns one sigmoid, has no contract",
}


def make(
    out: Path,
    *,
    name: str = "tiny",
    version: int = 1,
    variant: str = "good",
    slow_steps: int = 200,
    crash_gigabytes: int = 8,
    flaky_percent: float = 5.0,
) -> Path:
    """Write `<out>/<name>/<version>/`, replacing an existing one; returns that folder."""
    folder = out / name / str(version)
    if variant == "legacy":
        return _replaced(folder, _write_legacy)
    contract = Contract(
        name=name,
        input=ModelInput(height=SIDE, width=SIDE),
        classes=(ModelClass("dark", "It's dark."), ModelClass("light", "It's light!")),
        backbone="mean brightness",
        created="2026-01-01T00:00:00Z",
    )
    if variant == "srgb":
        contract = replace(contract, input=replace(contract.input, decode=Decoding(profile="srgb")))
    answer: saved_model.Probabilities = {
        "inverted": lambda pixels: _brightness(pixels)[:, ::-1],
        "slow": lambda pixels: _slow(pixels, slow_steps),
        "crash": lambda pixels: _crash(pixels, crash_gigabytes),
        "flaky": lambda pixels: _flaky(pixels, flaky_percent / 100),
    }.get(variant, _brightness)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(answer(tf.cast(pixels, tf.float32)), dtype=np.float64)

    cases = golden.make(contract.input, run)
    if variant == "explained":
        contract = replace(contract, explanation=Explanation())
        return _replaced(folder, lambda staging: saved_model.write(staging, _explained, contract, cases))
    if variant == "bad-golden":
        wrong = tuple(replace(case, probabilities=case.probabilities[::-1]) for case in cases.cases)
        return _replaced(
            folder, lambda staging: saved_model.write(staging, answer, contract, Golden(1e-3, wrong))
        )
    if variant == "wrong-signature":
        return _replaced(folder, _write_wrong_signature)
    if variant == "corrupt":
        return _replaced(folder, lambda staging: _write_corrupt(staging, answer, contract, cases))
    # No reload in a fresh process: with nothing learned, there is nothing that could have been lost.
    return _replaced(folder, lambda staging: saved_model.write(staging, answer, contract, cases))


def _replaced(folder: Path, write: Callable[[Path], None]) -> Path:
    with export.staged(folder, replace=True) as staging:
        write(staging)
    return folder


def _brightness(pixels: Any) -> Any:
    light = tf.sigmoid((tf.reduce_mean(pixels, axis=(1, 2, 3)) - MIDDLE) / WIDTH)
    return tf.stack([1.0 - light, light], axis=1)


def _explained(pixels: Any) -> dict[str, Any]:
    places = tf.nn.avg_pool2d(tf.reduce_mean(pixels, axis=3, keepdims=True), PLACE, PLACE, "VALID")
    light = (places - MIDDLE) / WIDTH
    return {
        PROBABILITIES_TENSOR: _brightness(pixels),
        MAPS_TENSOR: tf.concat([tf.zeros_like(light), light], axis=3),
    }


def _slow(pixels: Any, steps: int) -> Any:
    matrix = tf.eye(256) + 0.0 * tf.reduce_mean(pixels)
    work = tf.while_loop(lambda i, _: i < steps, lambda i, m: (i + 1, tf.matmul(m, m)), (0, matrix))[1]
    return _brightness(pixels + 0.0 * tf.reduce_mean(work))


def _crash(pixels: Any, gigabytes: int) -> Any:
    brightest = tf.reduce_max(tf.reduce_mean(pixels, axis=(1, 2, 3)))
    # The size depends on the input. Otherwise the memory would be allocated when the model is loaded.
    blocks = tf.where(brightest > WHITE, gigabytes, 0)
    ballast = tf.ones(tf.stack([blocks, 1024, 1024, 256]))
    return _brightness(pixels + 0.0 * tf.reduce_sum(ballast))


def _flaky(pixels: Any, share: float) -> Any:
    # Golden images have several brightnesses, and a verification sends black, grey and white ones as well. So
    # the version always passes its verification, and fails under traffic only.
    darkest, lightest = tf.reduce_min(pixels, axis=(1, 2, 3)), tf.reduce_max(pixels, axis=(1, 2, 3))
    of_verifications = tf.reduce_any(tf.equal(lightest[:, None], [0.0, 128.0, 255.0]), axis=1)
    may_fail = tf.logical_and(darkest >= lightest, tf.logical_not(of_verifications))
    fails = tf.logical_and(may_fail, tf.random.uniform(tf.shape(pixels)[:1]) < share)
    return tf.where(fails[:, None], float("nan"), _brightness(pixels))


def _write_wrong_signature(staging: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec((None, SIDE, SIDE, 3), tf.uint8, name="images")
    module.serve = tf.function(
        lambda images: {"probabilities": _brightness(tf.cast(images, tf.float32))}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(staging), signatures={"serving_default": module.serve})


def _write_corrupt(
    staging: Path, answer: saved_model.Probabilities, contract: Contract, cases: Golden
) -> None:
    saved_model.write(staging, answer, contract, cases)
    graph = staging / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def _write_legacy(staging: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="input_1")
    module.serve = tf.function(
        lambda input_1: {"dense": _brightness((input_1 + 1.0) * 127.5)[:, 1:]}, input_signature=[spec]
    )
    tf.saved_model.save(module, str(staging), signatures={"serving_default": module.serve})


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_variants()
    )
    parser.add_argument("out", type=Path, help="folder in which NAME/VERSION is written")
    parser.add_argument("--name", default="tiny", help="name of the model (default: %(default)s)")
    parser.add_argument("--version", type=int, default=1, help="version (default: %(default)s)")
    parser.add_argument(
        "--variant", choices=VARIANTS, default="good", help="see below (default: %(default)s)"
    )
    parser.add_argument("--slow-steps", type=int, default=200, help="matrix products (default: %(default)s)")
    parser.add_argument("--crash-gigabytes", type=int, default=8, help="memory in GB (default: %(default)s)")
    parser.add_argument(
        "--flaky-percent", type=float, default=5.0, help="share in percent (default: %(default)s)"
    )
    print(make(**vars(parser.parse_args())))


def _variants() -> str:
    return "variants:\n" + "\n".join(f"  {name:<16} {what}" for name, what in VARIANTS.items())


if __name__ == "__main__":
    main()
