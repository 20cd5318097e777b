"""`spec.gateway`: how the gateway runs, and how users reach it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from imageclassifier_operator.api.autoscaling import Autoscaling
from imageclassifier_operator.api.egress_proxy import EgressProxy
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.http_route import GatewayHttpRoute
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.model_source import secret_names
from imageclassifier_operator.api.pod_template import PodTemplate
from imageclassifier_operator.api.rollout import ConfigMapKey
from imageclassifier_operator.api.serving import canonical_resources

GATEWAY_RESOURCES: Json = {
    "requests": {"cpu": "50m", "memory": "192Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}


class Access(StrEnum):
    """Who may use the gateway, as in `status.access`."""

    OPEN = "Open"
    API_KEY = "APIKey"


@dataclass(frozen=True)
class GatewayService:
    """`spec.gateway.service`: the Service for users."""

    type: str = "ClusterIP"
    port: int = 80
    node_port: int | None = None
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_traffic_policy: str | None = None
    annotations: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, service: Json, usual_port: int) -> Self:
        """Read `spec.gateway.service`. `usual_port`: where the spec names none."""
        return cls(
            type=service.get("type", cls.type),
            port=service.get("port", usual_port),
            node_port=service.get("nodePort"),
            load_balancer_class=service.get("loadBalancerClass"),
            load_balancer_source_ranges=tuple(service.get("loadBalancerSourceRanges") or ()),
            external_traffic_policy=service.get("externalTrafficPolicy"),
            annotations=dict(service.get("annotations") or {}),
        )


@dataclass(frozen=True)
class GatewayIngress:
    """The Ingress. Without a `tls_secret_name` it is plain HTTP."""

    host: str
    class_name: str | None = None
    tls_secret_name: str | None = None
    annotations: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, ingress: Json) -> Self:
        """Read `spec.gateway.ingress`."""
        return cls(
            host=ingress["host"],
            class_name=ingress.get("className"),
            tls_secret_name=(ingress.get("tls") or {}).get("secretName"),
            annotations=dict(ingress.get("annotations") or {}),
        )


@dataclass(frozen=True)
class GatewayUrls:
    """From which hosts the gateway may fetch pictures, by default any public host, and how.

    `ca_bundle`: certificates of private authorities.
    """

    allowed_hosts: tuple[str, ...] = ()
    allow_private_networks: bool = False
    user_agent: str = ""
    proxy: EgressProxy | None = None
    ca_bundle: ConfigMapKey | None = None

    @classmethod
    def parse(cls, urls: Json) -> Self:
        """Read `spec.gateway.urls`."""
        proxy, bundle = urls.get("proxy"), (urls.get("caBundle") or {}).get("configMap")
        return cls(
            tuple(urls.get("allowedHosts") or ()),
            bool(urls.get("allowPrivateNetworks", False)),
            urls.get("userAgent", ""),
            None if proxy is None else EgressProxy.parse(proxy),
            None if bundle is None else ConfigMapKey(bundle["name"], bundle["key"]),
        )


@dataclass(frozen=True)
class GatewayCors:
    """Origins whose web pages may use the gateway; `*` stands for every origin."""

    allowed_origins: tuple[str, ...] = ()

    @classmethod
    def parse(cls, cors: Json) -> Self:
        """Read `spec.gateway.cors`."""
        return cls(tuple(cors.get("allowedOrigins") or ()))


@dataclass(frozen=True)
class GatewayTls:
    """`spec.gateway.tls`: the Secret with the gateway's certificate."""

    secret_name: str


@dataclass(frozen=True)
class Tracing:
    """`spec.gateway.tracing`: the URL of the collector, and the share of requests that are traced."""

    endpoint: str
    sample_percent: int = 100

    @classmethod
    def parse(cls, tracing: Json) -> Self:
        """Read `spec.gateway.tracing`."""
        return cls(tracing["endpoint"], tracing.get("samplePercent", cls.sample_percent))


@dataclass(frozen=True)
class GatewayAuthentication:
    """`spec.gateway.authentication`: the Secret with the API keys of clients."""

    api_keys_secret_name: str

    @classmethod
    def parse(cls, authentication: Json) -> Self:
        """Read `spec.gateway.authentication`. Raises InvalidSpec if it names no Secret.

        The CRD refuses that too. A gateway must not be open by mistake.
        """
        secret = (authentication.get("apiKeys") or {}).get("secretName")
        if not secret:
            raise InvalidSpec(
                "spec.gateway.authentication names no Secret. Set apiKeys.secretName, or remove "
                "authentication to let everybody use the gateway."
            )
        return cls(secret)


@dataclass(frozen=True)
class GatewaySettings:
    """`spec.gateway`. Without an `image` it is the gateway image of the operator's release."""

    image: str | None = None
    image_pull_policy: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    replicas: int = 2
    autoscaling: Autoscaling | None = None
    resources: Json = field(default_factory=lambda: GATEWAY_RESOURCES)
    template: PodTemplate = field(default_factory=PodTemplate)
    service: GatewayService = field(default_factory=GatewayService)
    ingress: GatewayIngress | None = None
    http_route: GatewayHttpRoute | None = None
    urls: GatewayUrls = field(default_factory=GatewayUrls)
    cors: GatewayCors = field(default_factory=GatewayCors)
    tls: GatewayTls | None = None
    """None: plain HTTP."""
    authentication: GatewayAuthentication | None = None
    """None: everybody may use the gateway."""
    tracing: Tracing | None = None
    max_image_bytes: int = 20_971_520
    max_image_pixels: int = 25_000_000
    cache_bytes: int = 0
    timeout_seconds: int = 10

    @classmethod
    def parse(cls, gateway: Json) -> Self:
        """Read `spec.gateway`."""
        ingress, http_route, tls = map(gateway.get, ("ingress", "httpRoute", "tls"))
        authentication, tracing = gateway.get("authentication"), gateway.get("tracing")
        return cls(
            image=gateway.get("image"),
            image_pull_policy=gateway.get("imagePullPolicy"),
            image_pull_secrets=secret_names(gateway.get("imagePullSecrets")),
            replicas=gateway.get("replicas", cls.replicas),
            autoscaling=Autoscaling.parse(gateway.get("autoscaling"), "spec.gateway.autoscaling"),
            resources=canonical_resources(gateway.get("resources", GATEWAY_RESOURCES)),
            template=PodTemplate.parse(gateway.get("template")),
            service=GatewayService.parse(gateway.get("service") or {}, 80 if tls is None else 443),
            ingress=None if ingress is None else GatewayIngress.parse(ingress),
            http_route=None if http_route is None else GatewayHttpRoute.parse(http_route),
            urls=GatewayUrls.parse(gateway.get("urls") or {}),
            cors=GatewayCors.parse(gateway.get("cors") or {}),
            tls=None if tls is None else GatewayTls(tls["secretName"]),
            authentication=None if authentication is None else GatewayAuthentication.parse(authentication),
            tracing=None if tracing is None else Tracing.parse(tracing),
            max_image_bytes=gateway.get("maxImageBytes", cls.max_image_bytes),
            max_image_pixels=gateway.get("maxImagePixels", cls.max_image_pixels),
            cache_bytes=gateway.get("cacheBytes", cls.cache_bytes),
            timeout_seconds=gateway.get("timeoutSeconds", cls.timeout_seconds),
        )

    @property
    def scheme(self) -> str:
        """The protocol of the Service's port, which is also the port's name."""
        return "http" if self.tls is None else "https"
