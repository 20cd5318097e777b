"""The gateway's settings, read once from environment variables. `--help` and docs/reference.md list them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: One process cannot use more cores: Python runs one thread at a time, except while threads decode or wait.
_MAX_CORES = 8
#: A model's input can be large even if `max_image_bytes` is small.
_MIN_BUFFERED_BYTES = 64 * 1024 * 1024
#: An origin as browsers write it in the Origin header.
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)(:[0-9]{1,5})?\Z")

#: The connection to a proxy is not encrypted; what goes through its tunnels is.
_PROXY = re.compile(
    r"http://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})/?\Z"
)


class SettingError(ValueError):
    """An environment variable has an invalid value. The message names the variable."""


@dataclass(frozen=True)
class Settings:
    """The settings of one gateway process; the defaults are for a gateway started by hand."""

    routing_file: Path = Path("/etc/imageclassifier/routing/routing.json")
    #: The folder with the certificate and its key; None: plain HTTP.
    tls_directory: Path | None = None
    #: The folder with the API keys of clients; None: requests need no key.
    api_keys_directory: Path | None = None
    port: int = 9696
    internal_port: int = 9697
    max_image_bytes: int = 20 * 1024 * 1024
    #: The maximum pixels that are decoded for a picture: docs/performance.md says how much memory they take.
    max_image_pixels: int = 25_000_000
    timeout_seconds: float = 10.0
    url_allowed_hosts: tuple[str, ...] = ()
    url_allow_private_networks: bool = False
    #: The User-Agent header of fetches; empty means the default.
    url_user_agent: str = ""
    #: The HTTP proxy for fetches, as http://host:port; empty means none.
    url_proxy: str = ""
    #: The hosts that are fetched without the proxy.
    url_proxy_direct_hosts: tuple[str, ...] = ()
    url_proxy_user: str = ""
    url_proxy_password: str = field(default="", repr=False)
    #: Certificates of authorities, as PEM, that are trusted beside the public ones.
    url_ca_file: Path | None = None
    #: The origins whose pages may use the gateway; `*` means all origins.
    cors_allowed_origins: tuple[str, ...] = ()
    cpu_limit: float = 1.0
    drain_seconds: float = 5.0
    #: The memory for the probabilities of earlier pictures; 0 keeps none.
    cache_bytes: int = 0
    #: The maximum number of pictures in one request. With `max_body_bytes`, it limits the work for one
    #: request.
    max_pictures: int = 32

    @property
    def decoding_threads(self) -> int:
        """The number of threads that decode pictures: one for each core.

        Without a CPU limit, `cpu_limit` is the number of cores of the node (downward API).
        """
        return max(1, min(math.ceil(self.cpu_limit), _MAX_CORES))

    @property
    def max_requests_in_flight(self) -> int:
        """The maximum number of requests in progress, including waiting ones. Others get 503."""
        return 32 + 32 * self.decoding_threads

    @property
    def max_body_bytes(self) -> int:
        """The maximum bytes of a body: two pictures of the largest size, or one and a half in base64."""
        return 2 * self.max_image_bytes + 64 * 1024

    @property
    def max_json_bytes(self) -> int:
        """The maximum bytes of a JSON body: a picture of the largest size in base64, with line breaks."""
        return self.max_image_bytes * 3 // 2 + 64 * 1024

    @property
    def max_buffered_bytes(self) -> int:
        """The maximum bytes of bodies and prepared pixels that all requests hold in memory together."""
        return max(4 * self.max_body_bytes, _MIN_BUFFERED_BYTES)

    @property
    def max_pixel_bytes(self) -> int:
        """Bytes of prepared pixels that one request may hold. The rest is left for other requests."""
        return self.max_buffered_bytes // 4


@dataclass(frozen=True)
class Variable:
    """An environment variable, as `--help` and docs/reference.md describe it."""

    name: str
    meaning: str
    default: str


_DEFAULTS = Settings()
VARIABLES = (
    Variable(
        "GATEWAY_ROUTING_FILE",
        "the routing file: versions, their model servers, and their shares of the traffic",
        str(_DEFAULTS.routing_file),
    ),
    Variable(
        "GATEWAY_API_KEYS_DIRECTORY",
        "folder with the API keys, one file for each client; with it, requests need a key",
        "none",
    ),
    Variable(
        "GATEWAY_TLS_DIRECTORY",
        "folder with tls.crt and tls.key; with it, the port for clients speaks HTTPS",
        "none",
    ),
    Variable("GATEWAY_PORT", "port for clients", str(_DEFAULTS.port)),
    Variable(
        "GATEWAY_INTERNAL_PORT",
        "port of /livez, /readyz, /metrics and /rollout",
        str(_DEFAULTS.internal_port),
    ),
    Variable(
        "GATEWAY_MAX_IMAGE_BYTES",
        "largest picture, in bytes",
        f"{_DEFAULTS.max_image_bytes}, which is 20 MiB",
    ),
    Variable(
        "GATEWAY_MAX_IMAGE_PIXELS",
        "most pixels that are decoded for a picture; each takes up to 8 bytes, on each core",
        str(_DEFAULTS.max_image_pixels),
    ),
    Variable(
        "GATEWAY_TIMEOUT_SECONDS",
        "time for a whole request in seconds, from its first byte to the response",
        f"{_DEFAULTS.timeout_seconds:g}",
    ),
    Variable(
        "GATEWAY_URL_ALLOWED_HOSTS",
        "hosts from which pictures may be fetched, separated by commas; *.example.org allows all hosts of "
        "that domain",
        "all public hosts",
    ),
    Variable(
        "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS",
        "true: pictures may also be fetched from private addresses",
        "false",
    ),
    Variable(
        "GATEWAY_URL_USER_AGENT",
        "User-Agent header with which pictures are fetched",
        "imageclassifier-gateway and its version",
    ),
    Variable(
        "GATEWAY_URL_PROXY",
        "HTTP proxy through which pictures are fetched, such as http://proxy.example.org:3128; it resolves "
        "the names, so it must refuse private addresses",
        "none",
    ),
    Variable(
        "GATEWAY_URL_PROXY_DIRECT_HOSTS",
        "hosts that are fetched without the proxy, separated by commas; *.example.org means all hosts of "
        "that domain",
        "none",
    ),
    Variable("GATEWAY_URL_PROXY_USER", "user for the proxy", "none"),
    Variable("GATEWAY_URL_PROXY_PASSWORD", "password for the proxy", "none"),
    Variable(
        "GATEWAY_URL_CA_FILE",
        "file with certificates of authorities (PEM) that are trusted for fetches beside the public ones; a "
        "renewed file takes effect at once",
        "none",
    ),
    Variable(
        "GATEWAY_CORS_ALLOWED_ORIGINS",
        "origins whose pages may call the gateway, separated by commas, such as https://app.example.org; * "
        "allows all",
        "none",
    ),
    Variable(
        "GATEWAY_CPU_LIMIT",
        "cores that the gateway may use; it decodes as many pictures at once, 8 at most",
        f"{_DEFAULTS.cpu_limit:g}",
    ),
    Variable(
        "GATEWAY_CACHE_BYTES",
        "memory for the probabilities of earlier pictures, in bytes; the same picture is then answered "
        "without the model. 0 keeps none",
        str(_DEFAULTS.cache_bytes),
    ),
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "URL of an OpenTelemetry collector for traces (docs/tracing.md)",
        "none",
    ),
    Variable(
        "GATEWAY_DRAIN_SECONDS",
        "time in seconds after SIGTERM in which the gateway still takes new connections",
        f"{_DEFAULTS.drain_seconds:g}",
    ),
)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the `GATEWAY_*` variables. Raises SettingError if a value is invalid."""
    defaults = Settings()
    return Settings(
        routing_file=Path(environment.get("GATEWAY_ROUTING_FILE") or defaults.routing_file),
        tls_directory=_path(environment, "GATEWAY_TLS_DIRECTORY"),
        api_keys_directory=_path(environment, "GATEWAY_API_KEYS_DIRECTORY"),
        port=_whole(environment, "GATEWAY_PORT", defaults.port, 0, 65535),
        internal_port=_whole(environment, "GATEWAY_INTERNAL_PORT", defaults.internal_port, 0, 65535),
        max_image_bytes=_whole(environment, "GATEWAY_MAX_IMAGE_BYTES", defaults.max_image_bytes, 1, 2**30),
        max_image_pixels=_whole(environment, "GATEWAY_MAX_IMAGE_PIXELS", defaults.max_image_pixels, 1, 2**28),
        timeout_seconds=_number(environment, "GATEWAY_TIMEOUT_SECONDS", defaults.timeout_seconds, 0.1, 600),
        url_allowed_hosts=_hosts(environment, "GATEWAY_URL_ALLOWED_HOSTS"),
        url_allow_private_networks=_flag(environment, "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS"),
        url_user_agent=_header(environment, "GATEWAY_URL_USER_AGENT"),
        url_proxy=_proxy(environment.get("GATEWAY_URL_PROXY", "").strip()),
        url_proxy_direct_hosts=_hosts(environment, "GATEWAY_URL_PROXY_DIRECT_HOSTS"),
        url_proxy_user=environment.get("GATEWAY_URL_PROXY_USER", ""),
        url_proxy_password=environment.get("GATEWAY_URL_PROXY_PASSWORD", ""),
        url_ca_file=_path(environment, "GATEWAY_URL_CA_FILE"),
        cors_allowed_origins=_origins(environment.get("GATEWAY_CORS_ALLOWED_ORIGINS", "")),
        cpu_limit=_number(environment, "GATEWAY_CPU_LIMIT", defaults.cpu_limit, 0.01, 1024),
        cache_bytes=_whole(environment, "GATEWAY_CACHE_BYTES", defaults.cache_bytes, 0, 2**40),
        drain_seconds=_number(environment, "GATEWAY_DRAIN_SECONDS", defaults.drain_seconds, 0, 600),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "")
    return Path(text) if text else None


def _number(environment: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    text = environment.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise SettingError(f"{name} is '{text}'; it must be a number from {least:g} to {most:g}.")
    return value


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = _number(environment, name, default, least, most)
    if value != int(value):
        raise SettingError(f"{name} is '{environment[name]}'; it must be a whole number.")
    return int(value)


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise SettingError(f"{name} is '{text}'; it must be true or false.")
    return text == "true"


def _header(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "").strip()
    if not (text.isascii() and text.isprintable()):
        raise SettingError(f"{name} is {text!r}; it must be one line of printable ASCII characters.")
    return text


def _proxy(url: str) -> str:
    found = _PROXY.match(url)
    if url and not (found and 1 <= int(found["port"]) <= 65535):
        raise SettingError(
            f"GATEWAY_URL_PROXY is '{url}'; write http://, a host and a port, such as "
            "http://proxy.example.org:3128."
        )
    return url


def _hosts(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = environment.get(name, "")
    hosts = tuple(host.strip().lower().rstrip(".") for host in text.split(",") if host.strip())
    for host in hosts:
        if "*" in host.removeprefix("*.") or not host.removeprefix("*."):
            raise SettingError(f"{name} has '{host}'; write a host name, or *.example.org.")
    return hosts


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().lower() for origin in text.split(",") if origin.strip())
    for origin in origins:
        if origin != "*" and not _ORIGIN.match(origin):
            raise SettingError(
                f"GATEWAY_CORS_ALLOWED_ORIGINS has '{origin}'; write a scheme and a host without a path, "
                "such as https://app.example.org, or *."
            )
    return origins
