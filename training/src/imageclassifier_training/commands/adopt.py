"""`imageclassifier-training adopt`: makes a model from elsewhere a version that describes itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from imageclassifier_gateway.contract import ACTIVATIONS, CHANNELS, FITS, LAYOUTS, MAX_SIDE, RESIZES

from ..errors import TrainingError
from ..files import shown
from ..words import counted
from . import _arguments as arguments

_EXAMPLES = """\
  imageclassifier-training adopt MobileNetV2 --name mobilenet
  imageclassifier-training adopt flowers.keras --classes classes.txt --images photographs
  imageclassifier-training adopt saved_models/cats --classes class_indices.json --preprocess tf --version 3
  imageclassifier-training adopt Xception --weights cats-dogs.weights.h5 --classes labels.txt
"""
_MORE = """\
It finds out what the model takes and returns, and prints the reasons. Give the
options below for what it cannot find out. The new version takes uint8 pixels and
returns probabilities. It is written only if it predicts the same as the original."""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "adopt",
        run,
        "make a model version of a model that was trained elsewhere",
        _EXAMPLES,
        _MORE,
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        help="SavedModel directory, .keras or .h5 file, or name of a model in keras.applications",
    )
    command.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="text or JSON file with the names of the classes, in the order of the outputs (default: the "
        "class folders of --images, or those of ImageNet for keras.applications with its weights)",
    )
    command.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="folder with images to compare the two models with, 100 at most. If they are in folders with "
        "the names of the classes, they also show how pixels are scaled (default: drawn images)",
    )
    command.add_argument(
        "--weights",
        metavar="FILE",
        help="for keras.applications: file with the weights of the whole model, or 'none' for random "
        "ones (default: download those of ImageNet)",
    )
    command.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="P",
        help="largest allowed difference between a probability and that of the original. If one differs by "
        "more, nothing is written (default: 0.0001)",
    )
    _add_pixels(command.add_argument_group("the pixels that the model takes (default: found out)"))
    _add_outputs(command.add_argument_group("what the model returns (default: found out)"))
    place = command.add_argument_group("the version")
    place.add_argument("--name", help="name of the model (default: that of the file or directory)")
    arguments.add_place(place)


def _add_pixels(group: Any) -> None:
    group.add_argument(
        "--preprocess",
        choices=("tf", "torch", "caffe", "none"),
        help="mode of preprocess_input in keras.applications: tf maps to -1 to 1, torch normalises with the "
        "mean of ImageNet, caffe subtracts it and takes BGR, none leaves 0 to 255",
    )
    for name, meaning in (
        ("scale", "factor of the pixels, such as 1/255"),
        ("offset", "number that is added after --scale"),
    ):
        group.add_argument(f"--{name}", type=_number, metavar="X", help=meaning)
    for name, meaning in (
        ("mean", "number that is subtracted after --offset"),
        ("std", "number by which the result is divided"),
    ):
        group.add_argument(
            f"--{name}", type=_numbers, metavar="X,...", help=f"{meaning}: one, or one for each channel"
        )
    group.add_argument(
        "--size", type=_size, metavar="SIZE", help="height and width in pixels, such as 224 or 224x160"
    )
    group.add_argument("--channels", choices=CHANNELS, help="colours of a pixel and their order")
    group.add_argument(
        "--layout",
        choices=LAYOUTS[:7],
        help="axes of the input: N pictures, H height, W width, C channels, F all values of a picture",
    )
    group.add_argument(
        "--resize",
        choices=RESIZES,
        default="bilinear",
        help="how pictures are resized; nearest is the default of load_img of Keras (default: bilinear)",
    )
    group.add_argument(
        "--fit",
        choices=FITS,
        default="squash",
        help="how pictures with another aspect ratio are fitted (default: squash)",
    )
    group.add_argument("--signature", metavar="NAME", help="signature of the SavedModel")
    group.add_argument("--input-tensor", metavar="NAME", help="its input for pictures")


def _add_outputs(group: Any) -> None:
    group.add_argument("--output-tensor", metavar="NAME", help="output with a value for each class")
    group.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        help="none: probabilities that sum to one; sigmoid: probabilities of classes that can be true at "
        "once; softmax or sigmoid-on-logits: logits, and this function makes them probabilities",
    )
    group.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="with two classes, the second one is predicted from this probability on (default: 0.5)",
    )


def run(options: argparse.Namespace) -> None:
    """Adopt a model, and print what was found out and how it differs from the original."""
    from ..adopting import class_names, loading, pictures
    from ..adopting.options import Adoption
    from ..exporting import model_name

    if options.name is not None:
        model_name.check(options.name)
    tolerance = _share(options.tolerance, "--tolerance")
    wanted = Adoption(
        classes=options.classes,
        images=None if options.images is None else pictures.find(options.images),
        scaling=_scaling(options),
        size=options.size,
        channels=options.channels,
        layout=options.layout,
        resize=options.resize,
        fit=options.fit,
        signature=options.signature,
        input_tensor=options.input_tensor,
        output_tensor=options.output_tensor,
        activation=options.activation,
        threshold=_share(options.threshold, "--threshold"),
    )
    count = class_names.class_count(wanted.classes) if wanted.classes else None
    original = loading.load(options.model, options.weights, count)

    # These import TensorFlow, which takes seconds. The checks above come first.
    from ..adopting import adopt
    from ..exporting.export import Place, next_version

    name = options.name or model_name.like(original.name)
    adopted = adopt.examine(original, wanted, name)
    arguments.out.print(f"{original.title}:", markup=False)
    for finding in adopted.findings:
        arguments.out.print(f"  {finding}", markup=False)
    for warning in adopted.warnings:
        arguments.err.print(f"warning: {warning}", markup=False)
    number = next_version(options.out / name) if options.version is None else options.version
    place = Place(options.out, number, options.replace)
    exported = adopt.write(adopted, place, tolerance)
    arguments.out.print(
        f"Wrote {shown(exported.folder)}: {exported.figures}. "
        f"For {counted(len(adopted.pixels), 'image')} its probabilities differ from the original's by "
        f"at most {exported.worst_difference:.1g}. Serve it with spec.model.version {number}, without "
        "classes and input.",
        markup=False,
    )


def _scaling(options: argparse.Namespace) -> Any:
    """The scaling that the options say; None if they say nothing."""
    from ..adopting import scaling

    numbers = (options.scale, options.offset, options.mean, options.std)
    if options.preprocess is not None:
        if any(each is not None for each in numbers):
            raise TrainingError(
                "--preprocess excludes --scale, --offset, --mean and --std. Remove it, or remove them."
            )
        return scaling.MODES[options.preprocess]
    if all(each is None for each in numbers):
        return None
    mean, std = options.mean or (0.0,), options.std or (1.0,)
    if 0 in std:
        raise TrainingError("--std has a 0, and values cannot be divided by it. Correct it.")
    if len({len(mean), len(std), 1}) > 2:
        raise TrainingError("--mean and --std have different numbers of channels. Give one value, or three.")
    return scaling.custom(1.0 if options.scale is None else options.scale, options.offset or 0.0, mean, std)


def _share(value: float, option: str) -> float:
    if not 0 <= value <= 1:
        raise TrainingError(f"{option} is {value:g}, but must be from 0 to 1. Correct it.")
    return value


def _number(text: str) -> float:
    try:
        return float(Fraction(text.strip()))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"'{text}' must be a number such as 0.5 or 1/255") from None


def _numbers(text: str) -> Sequence[float]:
    found = tuple(_number(part) for part in text.split(","))
    if len(found) not in (1, 3):
        raise argparse.ArgumentTypeError(f"'{text}' must be one number, or three with commas between them")
    return found


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    sides = [int(part) for part in parts if part.isascii() and part.isdecimal()]
    if len(sides) != len(parts) or len(sides) > 2 or not all(1 <= side <= MAX_SIDE for side in sides):
        raise argparse.ArgumentTypeError(f"'{text}' must be a size in pixels such as 224, or 224x160")
    return sides[0], sides[-1]
