"""Renders the model card of an exported version: Markdown for the people who are to use it.

A model card says what a model is for, how well it works and on what it was not tried (Mitchell et al., "Model
Cards for Model Reporting", FAT* 2019). What a training did not record is called unknown.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from imageclassifier_gateway.contract import Familiarity

from ..comparing.runs import tuned_blocks
from ..exporting.export import Exported
from ..exporting.golden import TOLERANCE
from ..networks.learned import Training
from . import licences, limits, recipe
from .figures import Figures, Interval, Share
from .formats.comparison import Compared
from .strangers import Found

CARD_FILE = "MODEL_CARD.md"
#: With more classes, the card shows only those with the lowest F1.
_MOST_CLASSES = 100
_MOST_CONFUSIONS = 10
_FITS = {
    "squash": "squashed to the input, so their aspect ratio is not kept",
    "crop": "cropped at the centre to the aspect ratio of the input",
    "pad": "padded with black to the aspect ratio of the input",
}


@dataclass(frozen=True)
class Origin:
    """Where a version comes from: its name and number, and the command that exported it.

    `weights` says where backbone weights came from that are not installed with this package; it is empty if
    there are none.
    """

    name: str
    version: int
    command: str
    weights: str = ""


@dataclass(frozen=True)
class Made:
    """What the export made and measured."""

    exported: Exported
    formats: Sequence[Compared] = ()
    familiarity: Familiarity | None = None
    strangers: Sequence[Found] = ()


def render(training: Training, figures: Figures, origin: Origin, made: Made) -> str:
    """Render the card as Markdown."""
    record = training.record
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown, not HTML
    )
    environment.filters.update(md=_escaped, percent=_percent, share=_share, number=_number, span=_span)
    return environment.get_template(f"{CARD_FILE}.j2").render(
        training=training,
        origin=origin,
        exported=made.exported,
        formats=made.formats,
        figures=figures,
        record=record,
        classes=_classes(training, figures),
        shown_all=len(training.classes) <= _MOST_CLASSES,
        confusions=figures.confusions[:_MOST_CONFUSIONS],
        fit=_FITS[training.architecture.fit],
        learned=_what_was_trained(training),
        calibration=(training.metrics.get("cross_validation") or {}).get("before_calibration"),
        limits=limits.of(training, figures),
        weights=licences.of_weights(training.architecture),
        libraries=licences.of_libraries(record.get("versions", {})),
        train_command=recipe.train_command(training),
        tolerance=TOLERANCE,
        familiarity=made.familiarity,
        measured_distance=training.familiarity,
        strangers=made.strangers,
        machine=platform.machine(),
        today=_today(),
        resource_name=_resource_name(origin.name),
    )


def _today() -> str:
    """The date in UTC, or that of SOURCE_DATE_EPOCH for reproducible builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.now(datetime.UTC)
    return (datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else now).date().isoformat()


def _resource_name(name: str) -> str:
    """The name of the model as Kubernetes allows it for an object."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


def _classes(training: Training, figures: Figures) -> list[dict[str, Any]]:
    """A row for each class; of very many, the ones with the lowest F1."""
    counts = training.record["pictures"]
    rows = [
        {"name": each.name, "message": each.message, "images": counts[each.name], "figures": measured}
        for each in training.classes
        for measured in [figures.classes.get(each.name)]
    ]
    if len(rows) > _MOST_CLASSES:
        rows.sort(key=lambda row: -1.0 if not row["figures"] else row["figures"].f1 or -1.0)
    return rows[:_MOST_CLASSES]


def _what_was_trained(training: Training) -> str:
    tuning = training.record["options"].get("fine_tuning")
    if not tuning:
        return "a linear head on the pooled features; the backbone has its pretrained weights"
    blocks = tuned_blocks(tuning["blocks"])
    rate = f"a peak learning rate of {tuning['learning_rate']:g}"
    return f"a linear head and {blocks} of the backbone, with {rate}"


def _escaped(text: object) -> str:
    """Text as Markdown, on one line: no character of a class name becomes markup or ends a cell."""
    line = " ".join(str(text).split())
    line = re.sub(r"([\\`*|<>\[\]#])", r"\\\1", line)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _span(interval: Interval | None, scale: float = 100, digits: int = 1) -> str:
    """The ends of an interval, in percent unless another scale is given."""
    return "" if interval is None else " to ".join(f"{scale * end:.{digits}f}" for end in interval)


def _share(share: Share | None) -> str:
    return "n/a" if share is None else f"{100 * share.value:.1f} % ({_span(share.interval)})"


def _number(value: float | None, digits: int = 4) -> str:
    return "not recorded" if value is None else f"{value:.{digits}f}"
