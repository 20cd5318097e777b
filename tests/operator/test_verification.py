"""The plan that a verification's Job gets."""

import json
from typing import Any

from imageclassifier_operator import spec, verification

LEGACY: dict[str, Any] = {
    "classes": [{"name": "dark"}, {"name": "light"}],
    "input": {"height": 8, "width": 8},
}


def described(version: int, **changed: Any) -> spec.ImageClassifier:
    return spec.parse(
        {
            "metadata": {"name": "pizza", "namespace": "food", "uid": "u", "generation": 1},
            "spec": {"model": {"version": version, "image": "pizza:{version}"}, **LEGACY, **changed},
        }
    )


def test_the_plan_says_of_both_versions_what_they_do_not_say_themselves() -> None:
    """Or the classes of two models that do not describe themselves could not be compared."""
    one = described(1).candidate("tf")
    ic = described(2, classes=[{"name": "night"}, {"name": "day"}])
    plan = json.loads(verification.plan(ic, ic.candidate("tf"), one))
    classes = {
        role: [c["name"] for c in plan[role]["contract"]["classes"]] for role in ("serving", "candidate")
    }
    assert classes == {"serving": ["dark", "light"], "candidate": ["night", "day"]}
