"""`create`: looks at a model, and writes the manifest of an ImageClassifier that serves it."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ClientError
from ..output import console
from . import _arguments as arguments

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_EXAMPLES = """\
  kubectl imageclassifier create pizza models/pizza-model --image registry.example.org/pizza-model:{version}
  kubectl imageclassifier create pizza registry.example.org/pizza-model:1 | kubectl apply -f -
  kubectl imageclassifier create pizza models/pizza-model --claim models --classes names.txt
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers, "create", run, "write the manifest for a model after looking at it", _EXAMPLES
    )
    command.add_argument("name", metavar="NAME", type=_name, help="name of the new ImageClassifier")
    command.add_argument(
        "model",
        metavar="MODEL",
        help="directory of a model or of a version, or an image with /models/NAME/VERSION",
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument("--image", metavar="REFERENCE", help="image from which the cluster gets the model")
    where.add_argument("--claim", metavar="NAME", help="PersistentVolumeClaim from which it gets the model")
    command.add_argument(
        "--version", type=arguments.positive_integer, metavar="N", help="version (default: the highest one)"
    )
    command.add_argument("--model-name", metavar="NAME", help="model in an image with several")
    command.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="file with the names of the classes, in the order of the outputs",
    )


def run(options: argparse.Namespace) -> None:
    """Print the manifest."""
    try:
        from ..models import manifest
        from ..models.finding import find_version
        from ..models.looking import class_names, look_at
    except ImportError as error:
        raise ClientError(
            f"create needs the package {error.name}. Install the program with `pip install "
            f"'imageclassifier[client]'`."
        ) from None
    with _directory(options) as (directory, image):
        found = find_version(directory, options.version)
        look = look_at(found.directory, class_names(options.classes) if options.classes else ())
    wanted = manifest.Wanted(options.name, found.name, found.version, _source(options, image, found.version))
    print(manifest.manifest(wanted, look), end="")
    if look.problem or not look.classes_are_known:
        console.errors().print("Some fields are left to you: see the comments with TO DO.", markup=False)


@contextlib.contextmanager
def _directory(options: argparse.Namespace) -> Iterator[tuple[Path, str | None]]:
    """The directory of the model, and the image that it comes from."""
    from ..models.finding import only_model, unpacked_image

    if Path(options.model).is_dir():
        if options.image is None and options.claim is None:
            raise ClientError(
                "The cluster cannot read a directory of this machine. Put the model into an image and name "
                "it with --image, or onto a volume and name its claim with --claim."
            )
        yield Path(options.model), options.image
        return
    with unpacked_image(options.model) as models:
        yield only_model(models, options.model, options.model_name), options.image or options.model


def _source(options: argparse.Namespace, image: str | None, version: int) -> dict[str, Any]:
    if options.claim is not None:
        return {"persistentVolumeClaim": {"claimName": options.claim}}
    assert image is not None
    # With {version} instead of the tag, a rollout changes one field.
    return {"image": {"reference": re.sub(rf":{version}$", ":{version}", image)}}


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"'{text}' must start with a letter, and have at most 40 lower-case letters, digits and -"
        )
    return text
