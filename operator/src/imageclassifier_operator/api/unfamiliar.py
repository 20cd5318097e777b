"""`spec.unfamiliar`: what happens to pictures that are unlike the training pictures of the model."""

from collections.abc import Mapping
from typing import Any

from imageclassifier_operator.api.numbers import share


def parse_unfamiliar(unfamiliar: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The change of the model's rule, in the form of the routing file. Raises InvalidSpec.

    >>> parse_unfamiliar({"policy": "Label"})
    {'ignored': True}
    >>> parse_unfamiliar({"policy": "Withhold", "beyond": "99.5%"})
    {'beyond': 0.995}
    """
    if unfamiliar is None:
        return None
    if unfamiliar.get("policy") == "Label":
        return {"ignored": True}
    change: dict[str, Any] = {}
    if unfamiliar.get("beyond") is not None:
        change["beyond"] = share(unfamiliar["beyond"], "spec.unfamiliar.beyond")
    if unfamiliar.get("message"):
        change["message"] = unfamiliar["message"]
    return change
