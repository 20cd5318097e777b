"""The model servers of a plan, and the contract of the serving version."""

from __future__ import annotations

import time

from ..contract import Contract
from ..limits.deadline import Deadline
from ..versions.contracts import read_contract
from ..versions.model_server_client import ModelServer
from ..versions.model_server_errors import ModelTimeoutError, ModelUnavailableError
from .calls import RETRY_SECONDS
from .plan import Plan, Target

_CALL_SECONDS = 5.0


def model_server(plan: Plan, target: Target) -> ModelServer:
    """A client of one version."""
    return ModelServer(target.address, plan.model, target.version)


def serving_contract(plan: Plan, patience: Deadline) -> Contract | None:
    """The contract of the serving version; None if no version serves.

    If the version is unavailable, it is retried until `patience`. Raises ModelServerError or ContractError.
    """
    serving = plan.serving
    if serving is None:
        return None
    server = model_server(plan, serving)
    while True:
        try:
            return read_contract(
                server, serving.contract, default_name=plan.model, timeout_seconds=_CALL_SECONDS
            )
        except (ModelUnavailableError, ModelTimeoutError):
            if patience.remaining_seconds() <= RETRY_SECONDS:
                raise
            time.sleep(RETRY_SECONDS)
