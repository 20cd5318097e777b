"""`python -m imageclassifier_gateway.model_files COMMAND`: one init container of a model server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command_line import Parser
from .layout import Place, saved_model_directory
from .listing import listing
from .refusal import FilesRefusedError
from .version_directories import version_directory

_DESCRIPTION = """\
Prepare the files of a model version for its model server. The init containers of a model server run this
program. It reads the directories of the versions below a base directory, as TensorFlow Serving does."""
_EPILOG = """\
example:
  python -m imageclassifier_gateway.model_files classes --base /models/flowers --version 3 --out /classes

exit codes:
  0  done
  2  an argument is invalid
  3  the files cannot be used; the last line of the output says what is there and what to do
"""
_PROGRAM = "python -m imageclassifier_gateway.model_files"
REFUSED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except FilesRefusedError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROGRAM,
        usage="%(prog)s COMMAND --base DIRECTORY --version N [OPTIONS]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, prog=_PROGRAM)
    search = commands.add_parser(
        "search", help="find the SavedModel of the version, or say what is there instead", allow_abbrev=False
    )
    search.set_defaults(run=_search)
    classes = commands.add_parser(
        "classes",
        help="write the model whose signature `classes` returns the class file of the version",
        allow_abbrev=False,
    )
    classes.set_defaults(run=_classes)
    for command in (search, classes):
        command.add_argument(
            "--base", type=Path, required=True, metavar="DIRECTORY", help="contains the version directories"
        )
        command.add_argument("--version", type=int, required=True, metavar="N", help="the version")
    search.add_argument(
        "--root", type=Path, required=True, metavar="DIRECTORY", help="the top of the image or volume"
    )
    search.add_argument(
        "--field", required=True, metavar="PATH", help="the field of the spec that leads to base"
    )
    search.add_argument(
        "--link",
        type=Path,
        metavar="FILE",
        help="root has only the names of an image's files: make a link to the directory in the image",
    )
    search.add_argument(
        "--out", type=Path, metavar="DIRECTORY", help="with --link: gets an empty directory N for the copy"
    )
    classes.add_argument(
        "--out", type=Path, required=True, metavar="DIRECTORY", help="gets the directory N of the new model"
    )
    classes.add_argument(
        "--file",
        metavar="PATH",
        help="the class file in the directory of the version (default: the one with a usual name)",
    )
    return parser


def _search(given: argparse.Namespace) -> None:
    place = Place(given.root, given.base, given.version, given.field, names_only=given.link is not None)
    found = saved_model_directory(place)
    if given.link is not None:
        given.link.unlink(missing_ok=True)  # the kubelet may run the container again
        given.link.symlink_to("/" / found.relative_to(given.root))
        (given.out / str(given.version)).mkdir(exist_ok=True)
    print(f"Found version {given.version} in {place.shown(found)}.")


def _classes(given: argparse.Namespace) -> None:
    # numpy and protobuf, which these need, do not fit into the smallest memory limits.
    from ..contract.class_servable import class_file_document
    from .class_file import read_class_file
    from .class_model import write_class_model

    directory = version_directory(given.base, given.version)
    if directory is None:
        raise FilesRefusedError(
            f"There is no directory of version {given.version}, only {listing(given.base)}. Put the "
            "SavedModel there, or correct spec.model.version."
        )
    file, text = read_class_file(directory, given.file)
    write_class_model(given.out / str(given.version), class_file_document(file, text))
    print(f"Read the classes of version {given.version} from {file}.")


if __name__ == "__main__":
    sys.exit(main())
