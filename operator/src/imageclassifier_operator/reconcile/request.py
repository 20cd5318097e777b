"""The input of one reconciliation, looked up once so that all its steps work on the same values."""

from dataclasses import dataclass, field
from typing import Any

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.observe.objects import Objects
from imageclassifier_operator.reconcile.memory import Memory
from imageclassifier_operator.render import Installation, Manifest
from imageclassifier_operator.runtime.work_queue import Key


@dataclass(frozen=True)
class Request:
    """One ImageClassifier as it is stored, whether its spec is valid or not. `now`: when the work began.

    `routing_config_map`: the ConfigMap from which the state is read. It may belong to another owner.
    """

    key: Key
    body: Json
    objects: Objects
    memory: Memory
    now: float
    routing_config_map: Json | None

    @property
    def name(self) -> str:
        """The name of the ImageClassifier."""
        return self.key.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.key.namespace

    @property
    def uid(self) -> str:
        """Its uid."""
        return self.memory.uid


@dataclass(frozen=True)
class ValidRequest(Request):
    """A request whose spec could be parsed: `ic` is the result."""

    ic: ImageClassifier
    wanted_gateway: Manifest
    """The Deployment of the gateways as rendered. It has no replicas while somebody else scales them."""
    installation: Installation
    kept_gateway: Json | None = None
    """The Deployment of the gateways, if it has to stay as it is until others have updated theirs."""
    rendered: dict[int, tuple[Any, tuple[Manifest, ...]]] = field(default_factory=dict)
    """The children of each version, with what they were rendered from: more than one step needs them."""
