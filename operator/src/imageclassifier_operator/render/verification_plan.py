"""The plan of a verification Job: which pictures to send to which versions. Pure."""

import json
from typing import Any

from imageclassifier_operator.api import AcceptanceCase, ImageClassifier, ModelVersion, names
from imageclassifier_operator.render.dataset import dataset_plan
from imageclassifier_operator.render.verification import picture_file

SCHEMA = 1
PLAN_DEADLINE_SECONDS = 120
"""The deadline of a verification without a data set, from the start of its pod."""


def plan(ic: ImageClassifier, candidate: ModelVersion, serving: ModelVersion | None) -> str:
    """The plan as JSON; its form is in docs/architecture.md."""
    dataset = ic.rollout.acceptance.dataset
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "model": candidate.model_name,
        "candidate": {
            **_target(ic, candidate),
            "contract": candidate.contract,
            **({} if candidate.unsure is None else {"unsure": candidate.unsure}),
            **({} if candidate.unfamiliar is None else {"unfamiliar": candidate.unfamiliar}),
        },
        "serving": None if serving is None else {**_target(ic, serving), "contract": serving.contract},
        "allow_class_change": ic.rollout.allow_class_change,
        "cases": [
            {
                "name": case.name,
                "label": case.label,
                "min_probability": (case.min_probability_percent or 0) / 100,
                "picture": _picture(case),
            }
            for case in ic.rollout.acceptance.cases
        ],
        "min_pass_percent": ic.rollout.acceptance.min_pass_percent,
        "deadline_seconds": PLAN_DEADLINE_SECONDS,
    }
    if dataset is not None:
        document["dataset"] = dataset_plan(dataset)
        document["deadline_seconds"] += dataset.timeout_seconds
    return json.dumps(document, sort_keys=True, ensure_ascii=False)


def _target(ic: ImageClassifier, version: ModelVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "target": names.serving_target(ic.name, ic.namespace, version.version),
    }


def _picture(case: AcceptanceCase) -> dict[str, str]:
    if case.base64 is not None:
        return {"base64": case.base64}
    if case.config_map_key is not None:
        return {"file": picture_file(case.config_map_key.name, case.config_map_key.key)}
    return {"url": case.url or ""}
