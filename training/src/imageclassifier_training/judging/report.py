"""Renders the HTML report of an evaluation: one file with its plots and images inside, readable offline."""

from __future__ import annotations

import base64
import io

from jinja2 import Environment, PackageLoader, StrictUndefined

from imageclassifier_gateway.contract import ModelInput
from imageclassifier_gateway.pixels.images import decode, fit

from ..files import shown
from . import plots
from .evaluate import Evaluation, Mistake, worst

_THUMBNAIL = ModelInput(height=180, width=180, fit="pad", resize="lanczos")


def render(evaluation: Evaluation) -> str:
    """Render the report as one HTML document."""
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["shown"] = shown
    return environment.get_template("report.html.j2").render(
        contract=evaluation.model.contract,
        counts=evaluation.dataset.counts(),
        metrics=evaluation.metrics,
        trained_on=evaluation.trained_on,
        speed=evaluation.pictures_per_second,
        plots=[(title, _data_url("image/svg+xml", svg)) for title, svg in plots.draw_all(evaluation)],
        mistakes=[(mistake, _thumbnail(mistake)) for mistake in worst(evaluation.mistakes)],
        total_mistakes=len(evaluation.mistakes),
    )


def _thumbnail(mistake: Mistake) -> str:
    buffer = io.BytesIO()
    picture = fit(decode(mistake.path.read_bytes(), _THUMBNAIL), _THUMBNAIL)
    picture.save(buffer, "JPEG", quality=80)
    return _data_url("image/jpeg", buffer.getvalue())


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
