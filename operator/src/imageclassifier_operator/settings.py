"""The operator's settings, from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_SERVING_IMAGE = "tensorflow/serving:2.19.1"
PROBE_PORT = 8081
METRICS_PORT = 8080


@dataclass(frozen=True)
class Settings:
    """`watch_namespace` None: all. `pod_namespace` is where the Lease lives, `pod_name` who holds it."""

    gateway_image: str
    serving_image: str
    watch_namespace: str | None
    pod_name: str
    pod_namespace: str
    probe_port: int = PROBE_PORT
    metrics_port: int = METRICS_PORT
    resync_seconds: float = 300.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises SystemExit with the sentence to read when a needed one is missing."""

        def needed(name: str) -> str:
            value = environment.get(name, "")
            if not value:
                raise SystemExit(f"the environment variable {name} is not set: see docs/reference.md")
            return value

        return cls(
            gateway_image=needed("IMAGECLASSIFIER_GATEWAY_IMAGE"),
            serving_image=environment.get("IMAGECLASSIFIER_SERVING_IMAGE") or DEFAULT_SERVING_IMAGE,
            watch_namespace=environment.get("IMAGECLASSIFIER_WATCH_NAMESPACE") or None,
            pod_name=needed("POD_NAME"),
            pod_namespace=needed("POD_NAMESPACE"),
            probe_port=int(environment.get("IMAGECLASSIFIER_PROBE_PORT") or PROBE_PORT),
            metrics_port=int(environment.get("IMAGECLASSIFIER_METRICS_PORT") or METRICS_PORT),
        )
