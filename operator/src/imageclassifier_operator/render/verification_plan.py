"""The plan that a verification Job gets. Pure."""

import json
from typing import Any

from imageclassifier_operator.api import AcceptanceCase, ImageClassifier, ServedVersion, names
from imageclassifier_operator.render.verification import picture_file

SCHEMA = 1
DEADLINE_SECONDS = 120
"""For the whole verification once its pod runs."""


def plan(ic: ImageClassifier, candidate: ServedVersion, serving: ServedVersion | None) -> str:
    """The plan of docs/architecture.md, as JSON."""
    document = {
        "schema": SCHEMA,
        "model": candidate.model_name,
        "candidate": {**_target(ic, candidate), "contract": candidate.contract},
        "serving": None if serving is None else {**_target(ic, serving), "contract": serving.contract},
        "allow_class_change": ic.rollout.allow_class_change,
        "cases": [
            {
                "name": case.name,
                "label": case.label,
                "min_probability": case.min_probability or 0.0,
                "picture": _picture(case),
            }
            for case in ic.rollout.acceptance.cases
        ],
        "min_pass_percent": ic.rollout.acceptance.min_pass_percent,
        "deadline_seconds": DEADLINE_SECONDS,
    }
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _target(ic: ImageClassifier, served: ServedVersion) -> dict[str, Any]:
    return {
        "version": served.version,
        "target": names.serving_target(ic.name, ic.namespace, served.version),
    }


def _picture(case: AcceptanceCase) -> dict[str, str]:
    if case.base64 is not None:
        return {"base64": case.base64}
    if case.config_map_key is not None:
        return {"file": picture_file(case.config_map_key.name, case.config_map_key.key)}
    return {"url": case.url or ""}
