"""The options of `imageclassifier-training search` that say what is tried, and how their values are read."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from imageclassifier_gateway.contract import FITS

from ..errors import TrainingError
from ..networks.architecture import Architecture, Branch
from ..searching.space import DEFAULT_BACKBONES
from . import _arguments as arguments


def add_space(group: Any) -> None:
    """Declare the options of the search space."""
    group.add_argument(
        "--backbones",
        type=_backbones,
        default=",".join(DEFAULT_BACKBONES),
        metavar="NAME[@PIXELS],...",
        help="backbones, each with the side of its square input in pixels (32 to 1024; default: the number "
        f"in brackets). {arguments.BACKBONES_HELP}. Join several with + to use their features side by side "
        "(default: see below)",
    )
    group.add_argument(
        "--fits",
        type=arguments.chosen_from(*FITS),
        default="squash,crop",
        metavar="FIT,...",
        help="what to do if the aspect ratio differs: squash, crop or pad (default: squash,crop)",
    )
    group.add_argument(
        "--views",
        type=_integers,
        default="2,1,4",
        metavar="N,...",
        help="numbers of augmented views per image: 1 = original, 2 = plus mirrored, 3 or more = plus "
        "random crops (default: 2,1,4)",
    )
    group.add_argument(
        "--class-weights",
        type=arguments.chosen_from("yes", "no"),
        metavar="yes,no",
        help="whether images of rare classes weigh more (default: yes,no if the largest class has more "
        "than 1.1 times the images of the smallest; else yes)",
    )
    group.add_argument(
        "--blocks",
        type=_blocks,
        default="none,1,2,4",
        metavar="N,...",
        help="numbers of blocks to fine-tune at the end of the backbone, 'all', or 'none' for the head only. "
        "A trial with more blocks than its backbone has fails, and the search goes on "
        "(default: none,1,2,4)",
    )
    group.add_argument(
        "--learning-rates",
        type=_rates,
        default="1e-5,3e-5,1e-4",
        metavar="RATE,...",
        help="peak learning rates of fine-tuning (default: 1e-5,3e-5,1e-4)",
    )
    arguments.add_epochs(group, " of fine-tuning")
    weights = group.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help=arguments.WEIGHTS_FOLDER_HELP,
    )
    weights.add_argument(
        "--random-weights",
        action="store_true",
        help="use random weights for the backbones of keras.applications, to try a search without their "
        "ImageNet weights; their accuracy means nothing",
    )


def minutes(text: str) -> float:
    """A number of minutes above 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' must be a number of minutes above 0")
    return found


def _backbones(text: str) -> tuple[str, ...]:
    found = []
    for part in arguments.parts(text):
        try:
            found.append(str(Architecture(tuple(Branch.parse(each.strip()) for each in part.split("+")))))
        except TrainingError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    if not found:
        raise argparse.ArgumentTypeError("give at least one backbone")
    return tuple(dict.fromkeys(each.replace(" ", "") for each in found))


def _integers(text: str) -> tuple[int, ...]:
    return tuple(arguments.positive_integer(part) for part in arguments.parts(text) or [text])


def _blocks(text: str) -> tuple[str, ...]:
    found = arguments.parts(text) or [text]
    return tuple(part if part == "none" else arguments.blocks(part) for part in found)


def _rates(text: str) -> tuple[float, ...]:
    try:
        found = [float(part) for part in arguments.parts(text)]
    except ValueError:
        found = []
    if not found or not all(0 < each < 1 for each in found):
        raise argparse.ArgumentTypeError(f"'{text}' must have learning rates between 0 and 1")
    return tuple(found)
