"""`spec.gateway.httpRoute`: the HTTPRoute of the Gateway API through which users reach the gateway."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class GatewayHttpRoute:
    """The HTTPRoute of the Gateway API. `parent_refs` and `filters` have the form of that API."""

    parent_refs: Sequence[Json]
    hostnames: tuple[str, ...] = ()
    scheme: str = "http"
    """The scheme of the URL in the status: the listener of the Gateway decides which it is."""
    annotations: Json = field(default_factory=dict)
    path_prefix: str = ""
    """The path below which the gateway is, such as /pizza; empty if it has all paths."""
    filters: Sequence[Json] = ()

    @classmethod
    def parse(cls, route: Json) -> Self:
        """Read `spec.gateway.httpRoute`."""
        return cls(
            parent_refs=tuple(route["parentRefs"]),
            hostnames=tuple(route.get("hostnames") or ()),
            scheme=route.get("scheme", cls.scheme),
            annotations=dict(route.get("annotations") or {}),
            path_prefix=route.get("pathPrefix", cls.path_prefix),
            filters=tuple(route.get("filters") or ()),
        )
