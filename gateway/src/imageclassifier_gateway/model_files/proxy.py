"""The proxy of downloads: from the variables of the operator to those that the HTTP clients read."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from urllib.parse import quote, urlsplit

_VARIABLE = "MODEL_PROXY"
#: The hosts on a node that give out the credentials of a ServiceAccount's role. A proxy cannot reach them.
_CREDENTIALS_OF_ROLES = (
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::23",
    "169.254.169.254",
    "metadata.google.internal",
)


def proxy_sentence(environment: Mapping[str, str]) -> str:
    """The end of an error message: a proxy may be the cause. Empty without one."""
    url = environment.get(_VARIABLE)
    return f" The download went through the proxy {urlsplit(url).netloc}." if url else ""


def use_proxy(environment: MutableMapping[str, str]) -> None:
    """Let urllib and the library of the stores use the proxy of the spec, if it has one.

    Both read HTTPS_PROXY and NO_PROXY. The credentials come from a Secret, so only the pod can make the URL.
    """
    url = environment.get(_VARIABLE)
    if not url:
        return
    host = urlsplit(url).netloc
    user, password = (environment.get(f"{_VARIABLE}_{name}", "") for name in ("USER", "PASSWORD"))
    if user:
        host = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    direct = environment.get(f"{_VARIABLE}_DIRECT_HOSTS", "").split(",")
    # To both libraries, a name without the asterisk means the host and all hosts below it.
    names = [name.removeprefix("*.") for name in direct if name]
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        environment[variable] = environment[variable.lower()] = f"http://{host}"
    environment["NO_PROXY"] = environment["no_proxy"] = ",".join((*names, *_CREDENTIALS_OF_ROLES))
