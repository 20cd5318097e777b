"""`imageclassifier-training explore`: shows what a data set contains and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ..files import shown, write_atomically
from ..networks import weights_folder
from ..networks.architecture import Architecture
from ..progress import ProgressDisplay
from ..words import counted
from . import _arguments as arguments
from . import _data as data_options

if TYPE_CHECKING:
    from ..exploring.explore import Exploration

_EXAMPLES = """\
  imageclassifier-training explore photos --html report.html
  imageclassifier-training explore photos --write-list doubtful.csv
  imageclassifier-training train photos --exclude doubtful.csv --out runs/clean
"""
_MORE = """\
It measures the images, finds unusable files, copies and near duplicates, images
that resemble no other, and labels that are probably wrong, and estimates the
accuracy to expect. It prints a summary; the report shows the images."""
_SHOWN_DOUBTS = 15


def add_parser(subparsers: Any) -> None:
    """Declare the command and its arguments."""
    command = arguments.declare(
        subparsers,
        "explore",
        run,
        "show what a data set contains and what is wrong with it",
        _EXAMPLES,
        _MORE,
    )
    command.add_argument("data_dir", type=Path, metavar="DATA", help=arguments.DATA_DIR_HELP)
    data_options.add_exclude(command)
    output = command.add_argument_group("output (nothing in DATA is changed)")
    output.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with plots and images as one HTML file"
    )
    output.add_argument("--json", type=Path, metavar="FILE", help="write all findings as JSON")
    output.add_argument(
        "--write-list",
        type=Path,
        metavar="FILE",
        help="write unusable files, images with two labels, copies and probable label errors as CSV. Check "
        "it, remove the lines that are wrong, and give it to `train --exclude`",
    )
    predictions = command.add_argument_group("predictions that find doubtful labels")
    predictions.add_argument(
        "--backbone",
        default="efficientnet_lite0",
        metavar="NAME[@PIXELS]",
        help="network whose features are used, and the side of its input in pixels; a slower one finds more. "
        f"{arguments.BACKBONES_HELP} (default: %(default)s)",
    )
    predictions.add_argument("--weights", type=Path, metavar="PATH", help=arguments.WEIGHTS_HELP)
    arguments.add_folds(predictions, "skips the search for doubtful labels")
    arguments.add_cache(predictions)


def run(options: argparse.Namespace) -> None:
    """Explore a data set, write the reports that were asked for, and print a summary."""
    architecture = Architecture.parse(options.backbone)
    weights = weights_folder.files_for(options.weights, architecture)
    from ..exploring import explore, report
    from ..fitting.options import Options, Workspace
    from ..pictures import lists
    from ..pictures.reading import Reading

    with ProgressDisplay(arguments.err) as progress:
        found = explore.explore(
            options.data_dir,
            Options(architecture, views=1, folds=options.folds),
            Workspace(out=Path(), cache=options.cache, weights=weights, progress=progress),
            Reading(excluded=data_options.exclusions(options)),
        )
    if options.json:
        write_atomically(options.json, (json.dumps(report.to_dict(found), indent=1) + "\n").encode())
    if options.html:
        write_atomically(options.html, report.render(found).encode())
    data_options.print_notes(found.notes)
    arguments.out.print(_summary(found))
    if found.doubts:
        arguments.out.print(_doubts(found))
    if options.write_list:
        listed = found.listed()
        lists.write(options.write_list, listed)
        arguments.out.print(
            f"Wrote {counted(len(listed), 'file')} to {shown(options.write_list)}. Check the list, "
            "then train:"
        )
        arguments.out.print(
            f"  imageclassifier-training train {shown(options.data_dir)} --out RUN "
            f"--exclude {shown(options.write_list)}",
            markup=False,
        )


def _summary(found: Exploration) -> Table:
    table = Table(title=shown(found.source), title_justify="left", show_header=False)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("")
    total = len(found.dataset.pictures)
    table.add_row("usable images", f"{total:,}", "")
    counts = sorted(found.dataset.counts().items(), key=lambda item: -item[1])
    for name, count in counts[:10]:
        table.add_row(f"  {name}", f"{count:,}", f"{100 * count / total:.1f} %")
    if len(counts) > 10:
        table.add_row(
            f"  {counted(len(counts) - 10, 'more class', 'more classes')}",
            f"{sum(count for _, count in counts[10:]):,}",
            "",
        )
    for name in found.splits:
        table.add_row(f"  split {name}", f"{found.split_of.count(name):,}", "")
    table.add_row("unusable files", f"{len(found.broken):,}", "")
    across = sum(each.across_classes for each in found.duplicates)
    leaking = sum(each.across_splits for each in found.duplicates)
    table.add_row(
        "groups of (near) duplicates",
        f"{len(found.duplicates):,}",
        f"{across} with several labels, {leaking} in several splits",
    )
    probable = sum(each.probable for each in found.doubts)
    table.add_row(
        "probable label errors", f"{probable:,}", f"doubtful labels: {len(found.doubts) - probable}"
    )
    table.add_row("images that resemble no other", f"{len(found.outliers):,}", "")
    measured = found.measurements.named()
    for name, values in measured.items():
        table.add_row(
            name, f"{sorted(values)[len(values) // 2]:,.4g}", f"{values.min():,.4g} to {values.max():,.4g}"
        )
    if found.expected:
        low, high = found.expected.accuracy_interval
        table.add_row(
            "accuracy to expect",
            f"{100 * found.expected.accuracy:.1f} %",
            f"95 % interval {100 * low:.1f} % to {100 * high:.1f} %",
        )
    return table


def _doubts(found: Exploration) -> Table:
    names, pictures = found.dataset.classes, found.dataset.pictures
    table = Table(title="labels to check, the most doubtful first", title_justify="left")
    for name in ("image", "label", "looks like"):
        table.add_column(name)
    table.add_column("p(label)", justify="right")
    for doubt in found.doubts[:_SHOWN_DOUBTS]:
        picture = pictures[doubt.index]
        table.add_row(
            shown(Path(*picture.path.parts[-2:])),
            names[picture.label],
            names[doubt.suggested],
            f"{doubt.quality:.3f}",
        )
    if len(found.doubts) > _SHOWN_DOUBTS:
        table.add_row(f"{len(found.doubts) - _SHOWN_DOUBTS} more", "", "", "")
    return table
