"""An HTTP proxy through which pods connect to servers outside of the cluster."""

from dataclasses import dataclass
from typing import Any, Self

from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class EgressProxy:
    """The proxy for URLs of pictures or for a model. `direct_hosts` are reached without it."""

    host: str
    port: int
    direct_hosts: tuple[str, ...] = ()
    credentials_secret: str | None = None
    """A Secret of the type kubernetes.io/basic-auth."""

    @classmethod
    def parse(cls, proxy: Json) -> Self:
        """Read a proxy of the spec."""
        secret = (proxy.get("credentialsSecret") or {}).get("name")
        return cls(proxy["host"], proxy["port"], tuple(proxy.get("directHosts") or ()), secret)

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `parse` reads."""
        secret = self.credentials_secret
        return {
            "host": self.host,
            "port": self.port,
            "directHosts": list(self.direct_hosts),
            **({} if secret is None else {"credentialsSecret": {"name": secret}}),
        }

    @property
    def url(self) -> str:
        """The URL, without credentials."""
        return f"http://{self.host}:{self.port}"

    def variables(self, prefix: str) -> dict[str, str]:
        """The environment variables without credentials, whose names start with `prefix`."""
        return {prefix: self.url, f"{prefix}_DIRECT_HOSTS": ",".join(self.direct_hosts)}

    def credentials(self, prefix: str) -> list[dict[str, Any]]:
        """The environment variables with credentials, as in the spec of a container."""
        if self.credentials_secret is None:
            return []
        keys = {f"{prefix}_USER": "username", f"{prefix}_PASSWORD": "password"}
        return [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": self.credentials_secret, "key": key}}}
            for name, key in keys.items()
        ]
