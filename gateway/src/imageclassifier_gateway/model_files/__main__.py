"""`python -m imageclassifier_gateway.model_files COMMAND`: one init container of a model server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command_line import TERMINATION_LOG, Parser, write_termination_log
from .archive import Archive, fetch, secret_headers
from .https_client import Remote
from .layout import Place, saved_model_directory
from .listing import listing
from .proxy import proxy_sentence, use_proxy
from .refusal import AliasResolved, DownloadFailedError, DownloadRefusedError, FilesRefusedError
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
  3  the files are no model that can be served
  4  the download failed for now; run the command again to continue it
  5  the model cannot be downloaded or unpacked
  6  the alias in the URI leads to the version in the last line; run the command again with --alias-version
For 3 to 5 the last line of the output says why, and what to do.
"""
_PROGRAM = "python -m imageclassifier_gateway.model_files"
REFUSED = 3
_EXIT_CODES: dict[type[Exception], int] = {
    FilesRefusedError: REFUSED,
    DownloadFailedError: 4,
    DownloadRefusedError: 5,
    AliasResolved: 6,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    given = _parser().parse_args(arguments)
    use_proxy(os.environ)
    try:
        given.run(given)
    except tuple(_EXIT_CODES) as error:
        failed = isinstance(error, DownloadFailedError | DownloadRefusedError)
        message = f"{error}{proxy_sentence(os.environ)}" if failed else str(error)
        print(" ".join(message.split()), file=sys.stderr)
        return _EXIT_CODES[type(error)]
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROGRAM,
        usage="%(prog)s COMMAND --version N [OPTIONS]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, prog=_PROGRAM)
    search = commands.add_parser(
        "search", help="find the SavedModel of the version, or say what is there instead"
    )
    search.set_defaults(run=_search)
    classes = commands.add_parser(
        "classes", help="write the model whose signature `classes` returns the class file of the version"
    )
    classes.set_defaults(run=_classes)
    download = commands.add_parser("download", help="download the archive with the version, and unpack it")
    download.set_defaults(run=_download)
    storage = commands.add_parser(
        "storage",
        help="download the version from S3, Google Cloud Storage, the Hugging Face Hub or MLflow",
    )
    storage.set_defaults(run=_storage)
    for command in (search, classes, download, storage):
        command.add_argument("--version", type=int, required=True, metavar="N", help="the version")
    for command in (search, classes):
        command.add_argument(
            "--base", type=Path, required=True, metavar="DIRECTORY", help="contains the version directories"
        )
    _add_download_arguments(download)
    _add_storage_arguments(storage)
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


def _add_download_arguments(download: argparse.ArgumentParser) -> None:
    download.add_argument("--url", required=True, help="the HTTPS URL of a tar, tar.gz or zip file")
    download.add_argument("--sha256", required=True, metavar="DIGEST", help="the SHA-256 digest of that file")
    download.add_argument(
        "--out", type=Path, required=True, metavar="DIRECTORY", help="gets the directory N of the version"
    )
    download.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="certificates to trust, beside those of the system"
    )
    download.add_argument(
        "--headers", type=Path, metavar="DIRECTORY", help="a mounted Secret: each key is the name of a header"
    )


def _add_storage_arguments(storage: argparse.ArgumentParser) -> None:
    storage.add_argument(
        "--uri",
        required=True,
        help="the directory or archive of the version, such as s3://models/flowers/3, or models:/flowers/3",
    )
    storage.add_argument(
        "--out", type=Path, required=True, metavar="DIRECTORY", help="gets the directory N of the version"
    )
    storage.add_argument(
        "--sha256", metavar="DIGEST", help="the SHA-256 digest of the archive, or of the list of all files"
    )
    storage.add_argument(
        "--endpoint",
        metavar="URL",
        help="the URL of a store that is compatible with S3, of a mirror of the Hub, or of MLflow",
    )
    storage.add_argument(
        "--alias-version", type=int, metavar="N", help="the version that stands for the alias in the URI"
    )
    storage.add_argument("--region", help="the region of the bucket")
    storage.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="certificates to trust, beside those of the system"
    )
    storage.add_argument(
        "--credentials", type=Path, metavar="DIRECTORY", help="a mounted Secret with the keys of the store"
    )
    storage.add_argument(
        "--termination-log",
        type=Path,
        metavar="FILE",
        default=TERMINATION_LOG,
        help="gets the digest, if it exists (default: %(default)s)",
    )


def _storage(given: argparse.Namespace) -> None:
    # The libraries of the stores are large, and the other commands do not need them.
    from .storage.access import Access
    from .storage.model import Wanted, fetch_model
    from .storage.stores import open_store

    access = Access(given.endpoint, given.region, given.ca_file, given.credentials)
    try:
        store = open_store(given.uri, access, given.alias_version)
    except AliasResolved as found:
        write_termination_log(f"version {found.version}", given.termination_log)
        raise
    digest = fetch_model(store, Wanted(given.version, given.sha256), given.out)
    write_termination_log(f"sha256:{digest}", given.termination_log)
    print(f"Version {given.version} from {store.uri.text} has the SHA-256 digest {digest}.")


def _download(given: argparse.Namespace) -> None:
    remote = Remote(given.url, given.ca_file, secret_headers(given.headers))
    if fetch(Archive(remote, given.sha256, given.version), given.out):
        print(f"Downloaded version {given.version} from {remote.shown}.")
    else:
        print(f"Version {given.version} is there already.")


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
