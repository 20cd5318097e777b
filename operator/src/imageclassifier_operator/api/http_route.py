"""`spec.gateway.httpRoute`: the HTTPRoute of the Gateway API through which users reach the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class GatewayHttpRoute:
    """The HTTPRoute of the Gateway API. `parent_refs`: the Gateways, in the form of that API."""

    parent_refs: Sequence[Json]
    hostnames: tuple[str, ...] = ()
    scheme: str = "http"
    """The scheme of the URL in the status: the listener of the Gateway decides which it is."""
    annotations: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, route: Json) -> Self:
        """Read `spec.gateway.httpRoute`."""
        return cls(
            parent_refs=tuple(route["parentRefs"]),
            hostnames=tuple(route.get("hostnames") or ()),
            scheme=route.get("scheme", cls.scheme),
            annotations=dict(route.get("annotations") or {}),
        )
