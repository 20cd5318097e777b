"""The operator's settings, from environment variables."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_SERVING_IMAGE = "tensorflow/serving:2.19.1"
PROBE_PORT = 8081
METRICS_PORT = 8080
MAX_GATEWAY_UPDATES = 5


_NAMESPACE = re.compile(r"namespace/(?P<name>[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(:(?P<port>[0-9]{1,5}))?")
_BLOCK = re.compile(r"(\[(?P<six>[^]]+)\]|(?P<four>[0-9./]+))(:(?P<port>[0-9]{1,5}))?")


class SettingError(ValueError):
    """An environment variable is missing or has an invalid value. The message names it."""


@dataclass(frozen=True)
class Variable:
    """An environment variable, as `--help` and docs/reference.md describe it."""

    name: str
    meaning: str
    default: str = ""
    required: bool = False

    @property
    def text(self) -> str:
        """The meaning, with the default."""
        if self.required:
            return f"{self.meaning} (required)"
        return f"{self.meaning} (default: {self.default})"


VARIABLES = (
    Variable(
        "IMAGECLASSIFIER_GATEWAY_IMAGE",
        "container image of the gateways and of the verification Jobs",
        required=True,
    ),
    Variable(
        "IMAGECLASSIFIER_SERVING_IMAGE",
        "container image of the model servers whose ImageClassifier names none",
        DEFAULT_SERVING_IMAGE,
    ),
    Variable("IMAGECLASSIFIER_WATCH_NAMESPACE", "the only namespace to watch", "all namespaces"),
    Variable("POD_NAME", "name of this pod, as the holder of the Lease", required=True),
    Variable("POD_NAMESPACE", "namespace of this pod and of the Lease", required=True),
    Variable("IMAGECLASSIFIER_PROBE_PORT", "port of /healthz and /readyz", str(PROBE_PORT)),
    Variable("IMAGECLASSIFIER_METRICS_PORT", "port of /metrics", str(METRICS_PORT)),
    Variable(
        "IMAGECLASSIFIER_MAX_GATEWAY_UPDATES",
        "number of ImageClassifiers that change to a new gateway image of the operator at the same time",
        str(MAX_GATEWAY_UPDATES),
    ),
    Variable(
        "IMAGECLASSIFIER_PROMETHEUS_NAMESPACE",
        "the namespace of Prometheus, which the NetworkPolicies let read the gateways' metrics",
        "none",
    ),
    Variable(
        "IMAGECLASSIFIER_DNS",
        "where the cluster's DNS servers are, for the NetworkPolicies, separated by commas: namespace/NAME, "
        "an address or a block, with :PORT if it is not 53, such as namespace/openshift-dns:5353",
        "kube-dns in kube-system, and 169.254.20.10",
    ),
    Variable(
        "IMAGECLASSIFIER_NETWORK_POLICIES",
        "whether the operator makes NetworkPolicies; false: the cluster has its own",
        "true",
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "URL of an OpenTelemetry collector for traces (docs/tracing.md)",
        "none",
    ),
    Variable("KUBECONFIG", "the kubeconfig, if the operator does not run in a pod", "~/.kube/config"),
)


@dataclass(frozen=True)
class DnsPlace:
    """Where DNS servers are: the pods of a namespace, or else an address block."""

    namespace: str = ""
    block: str = ""
    port: int = 53


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
    prometheus_namespace: str | None = None
    dns: tuple[DnsPlace, ...] = ()
    """Where the cluster's DNS servers are; empty means the usual places."""
    network_policies: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings. Raises SettingError if one is missing or invalid."""
        return cls(
            gateway_image=_required(environment, "IMAGECLASSIFIER_GATEWAY_IMAGE"),
            serving_image=environment.get("IMAGECLASSIFIER_SERVING_IMAGE") or DEFAULT_SERVING_IMAGE,
            watch_namespace=environment.get("IMAGECLASSIFIER_WATCH_NAMESPACE") or None,
            pod_name=_required(environment, "POD_NAME"),
            pod_namespace=_required(environment, "POD_NAMESPACE"),
            probe_port=_whole(environment, "IMAGECLASSIFIER_PROBE_PORT", PROBE_PORT, 0, 65535),
            metrics_port=_whole(environment, "IMAGECLASSIFIER_METRICS_PORT", METRICS_PORT, 0, 65535),
            max_gateway_updates=_whole(
                environment, "IMAGECLASSIFIER_MAX_GATEWAY_UPDATES", MAX_GATEWAY_UPDATES, 1, 1_000_000
            ),
            prometheus_namespace=_namespace(environment, "IMAGECLASSIFIER_PROMETHEUS_NAMESPACE"),
            dns=_dns(environment.get("IMAGECLASSIFIER_DNS", "")),
            network_policies=_flag(environment, "IMAGECLASSIFIER_NETWORK_POLICIES", default=True),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingError(
            f"The environment variable {name} is not set. Set it as in operator/install/install.yaml, or run "
            "`imageclassifier-operator --help` for all settings."
        )
    return value


def _namespace(environment: Mapping[str, str], name: str) -> str | None:
    text = environment.get(name, "")
    if text and (len(text) > 63 or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", text)):
        raise SettingError(
            f"The environment variable {name} is '{text}', which is not the name of a namespace. Use at most "
            "63 lower-case letters, digits and hyphens, or leave it empty."
        )
    return text or None


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise SettingError(
            f"The environment variable {name} is '{text}'. It must be a whole number from {least} to {most}."
        )
    return int(text)


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name) or str(default).lower()
    if text not in ("true", "false"):
        raise SettingError(f"The environment variable {name} is '{text}'. It must be true or false.")
    return text == "true"


def _dns(text: str) -> tuple[DnsPlace, ...]:
    """Places in the form of `IMAGECLASSIFIER_DNS`.

    >>> _dns("namespace/openshift-dns:5353")
    (DnsPlace(namespace='openshift-dns', block='', port=5353),)
    >>> _dns("10.0.0.10")
    (DnsPlace(namespace='', block='10.0.0.10/32', port=53),)
    """
    return tuple(_dns_place(item.strip()) for item in text.split(",") if item.strip())


def _dns_place(item: str) -> DnsPlace:
    refusal = SettingError(
        f"The environment variable IMAGECLASSIFIER_DNS has '{item}'. Write namespace/NAME, an address or a "
        "block, with :PORT if the port is not 53, and an IPv6 address in brackets: "
        "namespace/openshift-dns:5353, 169.254.169.254, [fd00::10]."
    )
    found = _NAMESPACE.fullmatch(item) or _BLOCK.fullmatch(item)
    if found is None or not 1 <= (port := int(found["port"] or 53)) <= 65535:
        raise refusal
    if item.startswith("namespace/"):
        return DnsPlace(namespace=found["name"], port=port)
    try:
        return DnsPlace(block=str(ipaddress.ip_network(found["six"] or found["four"])), port=port)
    except ValueError:
        raise refusal from None
