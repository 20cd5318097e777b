"""A served version: everything that one model version is brought up from, as one value that can be stored.

The operator keeps the ServedVersion of each version that lives in the rollout's state. So the version
before can be rendered exactly as it was while the spec already speaks of the next one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from imageclassifier_operator.api.serving import ModelSource, ServingSettings, parse_source


def digest(value: Any) -> str:
    """12 hexadecimal digits that change whenever the JSON value does."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class ServedVersion:
    """One model version and what it is made from.

    `contract` is what the spec says for a model that does not describe itself, in the form of the routing
    file (docs/architecture.md), else None. `server_image` is the model server's image with the operator's
    default filled in at the time the version was brought up; it is no part of the hashes, so that an
    operator upgrade with another default neither restarts a pod nor starts a rollout.
    """

    version: int
    model_name: str
    source: ModelSource
    serving: ServingSettings
    contract: Mapping[str, Any] | None
    server_image: str

    @property
    def source_hash(self) -> str:
        """Of what cannot change once the version serves: the model's files, and what the spec says of its
        input, output and classes. How their messages read and where the threshold lies may change.
        """
        return digest([self.version, self.model_name, self._files(), self._meaning()])

    @property
    def input_hash(self) -> str:
        """Of everything the version is made from: a failed version is tried again when this changes."""
        return digest(
            [self.version, self.model_name, self.source.to_json(), self.serving.to_json(), self.contract]
        )

    @property
    def pod_hash(self) -> str:
        """Of what its model servers run with: all but how pictures and answers are read."""
        return digest(
            [self.version, self.model_name, self.source.to_json(), self.serving.to_json(), self.server_image]
        )

    def _files(self) -> Any:
        origin = self.source.to_json()
        return origin.get("image") or origin["persistentVolumeClaim"]

    def _meaning(self) -> Any:
        if self.contract is None:
            return None
        classes = [each["name"] for each in self.contract["classes"]]
        return [self.contract["input"], self.contract["output"], classes]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "modelName": self.model_name,
            "source": self.source.to_json(),
            "serving": self.serving.to_json(),
            "contract": self.contract,
            "serverImage": self.server_image,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises KeyError, TypeError or InvalidSpec on anything else."""
        return cls(
            version=stored["version"],
            model_name=stored["modelName"],
            source=parse_source(stored["source"], model_name=stored["modelName"], version=stored["version"]),
            serving=ServingSettings.parse(stored["serving"]),
            contract=stored["contract"],
            server_image=stored["serverImage"],
        )
