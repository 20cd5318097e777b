"""Renders HTML reports: each is one file with its plots and images inside, readable offline."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels import heat_map
from imageclassifier_gateway.pixels.images import decode, fit, prepare

from ..exporting.saved_model import ServedModel
from ..files import shown
from ..words import counted
from . import plots
from .evaluate import Evaluation
from .judgement import Judgement, Mistake

_WORST = 24
_CONFUSIONS = 20


@dataclass(frozen=True)
class Card:
    """An image on a sheet: its data URL, and what stands below it."""

    image: str
    title: str
    text: str
    alt: str = ""
    heat_map: str = ""


@dataclass(frozen=True)
class Page:
    """What a report says around the figures of a judgement.

    `tiles` are further (value, text) pairs, `plots` further (title, SVG) pairs.
    """

    title: str
    subject: str
    intro: tuple[str, ...] = ()
    warning: str = ""
    honest: bool = True
    tiles: tuple[tuple[str, str], ...] = ()
    plots: tuple[tuple[str, str], ...] = ()


def of_evaluation(evaluation: Evaluation) -> str:
    """Render the report of an evaluation."""
    contract = evaluation.model.contract
    side = f"{contract.input.width} x {contract.input.height} pixels"
    counts = ", ".join(f"{count} {name}" for name, count in evaluation.dataset.counts().items())
    recorded = contract.metrics.get("cross_validation")
    intro = [
        f"Model: {contract.backbone or 'unknown'}, input {side}, trained "
        f"{contract.created or 'at an unknown time'}."
    ]
    intro.append(f"Given images: {counts}.")
    if recorded:
        intro.append(
            f"Recorded at training by cross-validation ({recorded['repeats']} x {recorded['folds']} folds): "
            f"accuracy {100 * recorded['accuracy']:.2f} %, log loss {recorded['log_loss']:.4f}."
        )
    page = Page(
        title=contract.name,
        subject="Evaluation",
        intro=tuple(intro),
        warning=evaluation.seen(),
        honest=evaluation.honest,
        tiles=((f"{evaluation.pictures_per_second:.0f}", "images per second on this machine"),),
    )
    return render(page, evaluation.judgement, partial(heat_map_of, evaluation.model))


def heat_map_of(model: ServedModel, mistake: Mistake) -> str:
    """Draw where the model looked, as a data URL; empty if the model does not say."""
    contract = model.contract
    if contract.explanation is None:
        return ""
    data = mistake.path.read_bytes()
    pixels = prepare(data, contract.input)
    maps = model.maps(pixels[None])
    assert maps is not None
    evidence = heat_map.contrast(maps[0], contract.class_names.index(mistake.predicted_class))
    return heat_map.data_url(heat_map.draw(pixels, evidence, heat_map.size_for(data, contract.input)))


def _no_heat_map(mistake: Mistake) -> str:
    return ""


def render(page: Page, judgement: Judgement, explain: Callable[[Mistake], str] = _no_heat_map) -> str:
    """Render a report of these predictions; `explain` draws the heat map of a mistake as a data URL."""
    cards = [
        Card(
            thumbnail(each.path),
            f"{each.true_class}, predicted {each.predicted_class}",
            f"true class: {each.true_probability:.3f}\n{short(each.path)}",
            heat_map=explain(each),
        )
        for each in judgement.mistakes[:_WORST]
    ]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            metrics=judgement.metrics,
            classes=list(zip(judgement.class_names, judgement.metrics.classes, strict=True)),
            confusions=judgement.confusions()[:_CONFUSIONS] if len(judgement.class_names) > 2 else [],
            plots=[*plots.draw_all(judgement), *page.plots],
            cards=cards,
            total_mistakes=len(judgement.mistakes),
            has_heat_maps=any(each.heat_map for each in cards),
        )
    )


def environment(*packages: str) -> Environment:
    """Jinja with the templates of the reports, and of these packages."""
    loader = ChoiceLoader([PackageLoader(each, "templates") for each in (*packages, __package__ or "")])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    found.filters["breakable"] = breakable
    found.globals["counted"] = counted
    return found


def breakable(text: object) -> Markup:
    """Let a long name break after its separators, so that a browser does not fold it inside a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_@+-])(?=[^/_@+-])", str(text)))


def short(path: Path) -> str:
    """The name of a file with that of its folder, as printable text."""
    return f"{shown(path.parent.name)}/{shown(path.name)}"


def thumbnail(path: Path, side: int = 180) -> str:
    """Draw an image file small, as a data URL."""
    return thumbnail_of(path.read_bytes(), side)


def thumbnail_of(data: bytes, side: int) -> str:
    """Draw an image small, as a data URL; `side` is the longer side in pixels."""
    wanted = ModelInput(height=side, width=side, resize="lanczos")
    picture = decode(data, wanted)
    scale = side / max(picture.size)
    width, height = (max(1, round(scale * each)) for each in picture.size)
    small = fit(picture, ModelInput(height=height, width=width, resize="lanczos"))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
