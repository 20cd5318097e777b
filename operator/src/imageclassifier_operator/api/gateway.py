"""`spec.gateway`: how the gateway runs, and how users reach it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from imageclassifier_operator.api.autoscaling import Autoscaling
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.model_source import secret_names
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
    annotations: Json = field(default_factory=dict)

    @classmethod
    def parse(cls, service: Json, usual_port: int) -> Self:
        """Read `spec.gateway.service`. `usual_port`: where the spec names none."""
        return cls(
            type=service.get("type", cls.type),
            port=service.get("port", usual_port),
            node_port=service.get("nodePort"),
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
    """From which hosts the gateway may fetch pictures, by default any public host, and its User-Agent."""

    allowed_hosts: tuple[str, ...] = ()
    allow_private_networks: bool = False
    user_agent: str = ""

    @classmethod
    def parse(cls, urls: Json) -> Self:
        """Read `spec.gateway.urls`."""
        return cls(
            tuple(urls.get("allowedHosts") or ()),
            bool(urls.get("allowPrivateNetworks", False)),
            urls.get("userAgent", ""),
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
    service: GatewayService = field(default_factory=GatewayService)
    ingress: GatewayIngress | None = None
    urls: GatewayUrls = field(default_factory=GatewayUrls)
    cors: GatewayCors = field(default_factory=GatewayCors)
    tls: GatewayTls | None = None
    """None: plain HTTP."""
    authentication: GatewayAuthentication | None = None
    """None: everybody may use the gateway."""
    max_image_bytes: int = 20_971_520
    cache_bytes: int = 0
    timeout_seconds: int = 10

    @classmethod
    def parse(cls, gateway: Json) -> Self:
        """Read `spec.gateway`."""
        ingress, tls, authentication = map(gateway.get, ("ingress", "tls", "authentication"))
        return cls(
            image=gateway.get("image"),
            image_pull_policy=gateway.get("imagePullPolicy"),
            image_pull_secrets=secret_names(gateway.get("imagePullSecrets")),
            replicas=gateway.get("replicas", cls.replicas),
            autoscaling=Autoscaling.parse(gateway.get("autoscaling"), "spec.gateway.autoscaling"),
            resources=canonical_resources(gateway.get("resources", GATEWAY_RESOURCES)),
            service=GatewayService.parse(gateway.get("service") or {}, 80 if tls is None else 443),
            ingress=None if ingress is None else GatewayIngress.parse(ingress),
            urls=GatewayUrls.parse(gateway.get("urls") or {}),
            cors=GatewayCors.parse(gateway.get("cors") or {}),
            tls=None if tls is None else GatewayTls(tls["secretName"]),
            authentication=None if authentication is None else GatewayAuthentication.parse(authentication),
            max_image_bytes=gateway.get("maxImageBytes", cls.max_image_bytes),
            cache_bytes=gateway.get("cacheBytes", cls.cache_bytes),
            timeout_seconds=gateway.get("timeoutSeconds", cls.timeout_seconds),
        )

    @property
    def scheme(self) -> str:
        """The protocol of the Service's port, which is also the port's name."""
        return "http" if self.tls is None else "https"
