"""The options of `imageclassifier-training train`: network, fitting, fine-tuning, evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imageclassifier_gateway.contract import FITS, FOR_NEW_MODELS, PROFILES, RESIZES

from . import _arguments as arguments


def add_groups(command: Any) -> None:
    """Declare the options of `train`, in groups."""
    _add_network(command.add_argument_group("network"))
    _add_fitting(command.add_argument_group("fitting"))
    _add_fine_tuning(command.add_argument_group("fine-tuning (only with --fine-tune)"))
    _add_measuring(command.add_argument_group("evaluation"))
    _add_predictions(command.add_argument_group("predictions of the model"))


def _add_network(group: Any) -> None:
    group.add_argument(
        "--backbone",
        action="append",
        metavar="NAME[@PIXELS]",
        help="backbone, and the side of its square input in pixels (32 to 1024; default: the number in "
        f"brackets). {arguments.BACKBONES_HELP}. Repeat the option to combine several backbones: "
        "their features are concatenated (default: efficientnet_lite0)",
    )
    group.add_argument("--weights", type=Path, metavar="PATH", help=arguments.WEIGHTS_HELP)
    group.add_argument(
        "--resize",
        default="bilinear",
        choices=RESIZES,
        help="filter that resizes an image to the input (default: bilinear)",
    )
    group.add_argument(
        "--fit",
        default="squash",
        choices=FITS,
        help="what to do if the aspect ratio differs: squash the image, crop its centre, or pad it with "
        "black (default: squash)",
    )
    group.add_argument(
        "--decode-margin",
        type=arguments.decode_margin,
        default=FOR_NEW_MODELS.margin,
        metavar="RATIO",
        help="a JPEG is decoded at the smallest of the scales 1, 1/2, 1/4 and 1/8 that leaves at least this "
        "many pixels for each pixel of the input, on each axis. Less is faster, and loses detail; below 1, "
        f"the picture may be enlarged again (0.5 to 16; default: {FOR_NEW_MODELS.margin})",
    )
    group.add_argument(
        "--colour-profile",
        default=FOR_NEW_MODELS.profile,
        choices=PROFILES,
        help="srgb: convert the colours of an image that has its own colour profile to sRGB; "
        "ignore: take its colours for sRGB (default: %(default)s)",
    )


def _add_fitting(group: Any) -> None:
    group.add_argument(
        "--views",
        type=arguments.positive_integer,
        default=2,
        metavar="N",
        help="number of augmented views per image: 1 = original, 2 = plus mirrored, "
        "3 or more = plus random crops (default: 2)",
    )
    group.add_argument(
        "--no-class-weights",
        action="store_true",
        help="give each image the same weight; by default, images of rare classes weigh more",
    )


def _add_fine_tuning(group: Any) -> None:
    group.add_argument(
        "--fine-tune",
        type=arguments.blocks,
        metavar="BLOCKS",
        help="number of blocks at the end of the backbone to train together with the head, or 'all'. "
        "efficientnet_lite0 has 18 blocks (default: train the head only)",
    )
    arguments.add_epochs(group)
    group.add_argument(
        "--learning-rate", type=float, default=1e-5, metavar="RATE", help="peak learning rate (default: 1e-5)"
    )
    group.add_argument(
        "--patience",
        type=int,
        default=2,
        metavar="EPOCHS",
        help="stop after this many epochs without improvement on a 10 %% hold-out; "
        "0 disables early stopping (default: 2)",
    )
    group.add_argument(
        "--mixed-precision",
        action="store_true",
        help="compute in bfloat16 while blocks are fine-tuned, for GPUs and CPUs that have it",
    )


def _add_measuring(group: Any) -> None:
    arguments.add_folds(group, "disables it")
    group.add_argument(
        "--repeats",
        type=arguments.positive_integer,
        default=1,
        metavar="N",
        help="number of cross-validations, each with other folds (default: 1)",
    )
    group.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a report of the cross-validation with plots and mistakes as one HTML file (needs --folds "
        "of 2 or more)",
    )
    group.add_argument(
        "--validation",
        type=Path,
        metavar="DATA",
        help="folder or CSV file with other images of the same classes, used only to measure the result "
        "(default: the folder val/ or valid/ of DATA, if it is divided into splits)",
    )


def _add_predictions(group: Any) -> None:
    group.add_argument(
        "--threshold",
        type=arguments.threshold_rule,
        default="0.5",
        metavar="RULE",
        help="only with two classes: predict the class whose name sorts second if its probability is at "
        "least this. RULE is a number from 0 to 1, or the metric that chooses it on the "
        "out-of-fold predictions: accuracy, f1, or precision=P for the lowest threshold with at least this "
        "precision (default: 0.5)",
    )
    group.add_argument(
        "--no-calibration",
        action="store_true",
        help="keep the probabilities as they are; by default, a temperature that is fitted to the "
        "out-of-fold predictions becomes part of the model",
    )
    group.add_argument(
        "--message",
        action="append",
        default=[],
        metavar="CLASS=SENTENCE",
        help="sentence that the gateway returns for a class; may be repeated (default: the class name)",
    )
