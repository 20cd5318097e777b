"""The replicas of the gateway's Deployment: a number from the spec, or left to a HorizontalPodAutoscaler.

The operator does not write `replicas` while an autoscaler targets the Deployment, either its own (for
`spec.gateway.autoscaling`) or that of somebody else. It reverts any other change, such as one by hand.
"""

import logging

from imageclassifier_operator.api import ImageClassifier, names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import AUTOSCALERS, DEPLOYMENTS, FIELD_MANAGER
from imageclassifier_operator.observe.objects import is_controlled_by
from imageclassifier_operator.reconcile.request import Request
from imageclassifier_operator.runtime.api_error import ApiError
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.client import KubernetesClient
from imageclassifier_operator.runtime.drift import owns

logger = logging.getLogger(__name__)

AUTOSCALER_SECONDS = 60.0
"""How long the operator remembers whether a foreign autoscaler exists. It does not watch autoscalers."""


class GatewayScaling:
    """Decides the replicas of gateways. It lists autoscalers only when somebody has changed the number."""

    def __init__(self, cache: Cache, client: KubernetesClient) -> None:
        self._cache, self._client = cache, client

    async def replicas(self, request: Request, ic: ImageClassifier) -> int | None:
        """The number to write; None leaves it to the autoscaler of the Deployment.

        While the operator still owns the field, it goes on writing the live number: an apply without the
        field would remove it, and the API server would set it to 1.
        https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
        """
        live = self._cache.get(DEPLOYMENTS, request.key, names.gateway_name(ic.name))
        scaling, wanted = ic.gateway.autoscaling, ic.gateway.replicas
        if ic.stopped:
            return 0
        number = 0 if live is None else int(live["spec"].get("replicas", 1))
        if live is None or number == 0:  # an autoscaler leaves a Deployment without pods alone
            return wanted if scaling is None else scaling.min_replicas
        if owns(live, FIELD_MANAGER, "spec", "replicas"):
            return wanted if scaling is None else number
        if scaling is None and (number == wanted or not await self._is_scaled_by_another(request, ic)):
            return wanted
        return None

    async def _is_scaled_by_another(self, request: Request, ic: ImageClassifier) -> bool:
        memory = request.memory
        if memory.foreign_autoscaler is None or request.now >= memory.foreign_autoscaler[1]:
            try:
                listed = await self._client.list_objects(AUTOSCALERS, ic.namespace)
            except ApiError as error:
                logger.warning("The operator cannot list autoscalers: %s", error)
                return True
            found = next((hpa for hpa in listed if _is_foreign(hpa, ic)), None)
            if found is not None:
                name = found["metadata"]["name"]
                logger.info("HorizontalPodAutoscaler %s scales the gateway", name)
            memory.foreign_autoscaler = (found is not None, request.now + AUTOSCALER_SECONDS)
        return memory.foreign_autoscaler[0]


def _is_foreign(autoscaler: Json, ic: ImageClassifier) -> bool:
    """Whether it scales the gateway and is not the operator's own, which is about to be deleted."""
    target = autoscaler["spec"]["scaleTargetRef"]
    is_target = (target["kind"], target["name"]) == ("Deployment", names.gateway_name(ic.name))
    return is_target and not is_controlled_by(autoscaler, ic.uid)
