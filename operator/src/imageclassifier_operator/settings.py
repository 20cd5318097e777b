"""The operator's settings, from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_SERVING_IMAGE = "tensorflow/serving:2.19.1"
PROBE_PORT = 8081
METRICS_PORT = 8080
MAX_GATEWAY_UPDATES = 5


@dataclass(frozen=True)
class Settings:
    """The settings. `watch_namespace` None means all. The Lease is in `pod_namespace`, held by `pod_name`."""

    gateway_image: str
    serving_image: str
    watch_namespace: str | None
    pod_name: str
    pod_namespace: str
    probe_port: int = PROBE_PORT
    metrics_port: int = METRICS_PORT
    resync_seconds: float = 300.0
    max_gateway_updates: int = MAX_GATEWAY_UPDATES
    """How many ImageClassifiers may change to a new gateway image of the operator at once."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Raises SystemExit with a message when a required one is missing."""

        def required(name: str) -> str:
            value = environment.get(name, "")
            if not value:
                raise SystemExit(
                    f"The environment variable {name} is not set. Set it as in operator/install/install.yaml."
                )
            return value

        return cls(
            gateway_image=required("IMAGECLASSIFIER_GATEWAY_IMAGE"),
            serving_image=environment.get("IMAGECLASSIFIER_SERVING_IMAGE") or DEFAULT_SERVING_IMAGE,
            watch_namespace=environment.get("IMAGECLASSIFIER_WATCH_NAMESPACE") or None,
            pod_name=required("POD_NAME"),
            pod_namespace=required("POD_NAMESPACE"),
            probe_port=int(environment.get("IMAGECLASSIFIER_PROBE_PORT") or PROBE_PORT),
            metrics_port=int(environment.get("IMAGECLASSIFIER_METRICS_PORT") or METRICS_PORT),
            max_gateway_updates=int(
                environment.get("IMAGECLASSIFIER_MAX_GATEWAY_UPDATES") or MAX_GATEWAY_UPDATES
            ),
        )
