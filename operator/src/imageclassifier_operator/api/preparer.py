"""The image that prepares the files of a model version in the pods of its model server: the gateway's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from imageclassifier_operator.api.gateway import GatewaySettings
from imageclassifier_operator.api.model_source import secret_names


@dataclass(frozen=True)
class Preparer:
    """The image of the spec or of the release, and how it is pulled, at the time when a rollout started.

    It is part of the version, so that neither an operator upgrade nor a change of `spec.gateway` restarts
    model servers.
    """

    default_image: str
    image: str | None = None
    pull_policy: str | None = None
    pull_secrets: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The name of the image."""
        return self.image or self.default_image

    @classmethod
    def of(cls, gateway: GatewaySettings, default_image: str) -> Self:
        """The gateway's image in the spec, or `default_image`."""
        return cls(default_image, gateway.image, gateway.image_pull_policy, gateway.image_pull_secrets)

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `from_json` reads."""
        return {
            "defaultImage": self.default_image,
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises KeyError or TypeError for any other document."""
        return cls(
            stored["defaultImage"],
            stored["image"],
            stored["imagePullPolicy"],
            secret_names(stored["imagePullSecrets"]),
        )
