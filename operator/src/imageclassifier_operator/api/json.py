"""The type of a JSON object, as the API server and the gateways send it."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
