"""`spec.unsure`: the probability below which a prediction is "I don't know"."""

from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api.numbers import share

MESSAGE = "I don't know."


def parse_unsure(unsure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The rule in the form of the routing file. Raises InvalidSpec for a limit that is no percentage."""
    if unsure is None:
        return None
    return {"below": share(unsure["below"], "spec.unsure.below"), "message": unsure.get("message") or MESSAGE}
