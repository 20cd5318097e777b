"""What the gateway's image sets, for gateways that tests and benches start without a container."""

from __future__ import annotations

from images.recipes import PROGRAMS

#: The environment of the gateway's image: variable -> value.
GATEWAY_ENVIRONMENT = dict(
    variable.split("=", 1) for each in PROGRAMS if each.name == "gateway" for variable in each.environment
)
