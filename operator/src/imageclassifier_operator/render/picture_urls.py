"""How pictures behind URLs are fetched: what gateway and verifications need in their pods. Pure."""

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.render.shared_parts import Manifest, variables

_CA_DIRECTORY = "/etc/imageclassifier/url-ca"
_CA_FILE = "ca.crt"
_CA_VOLUME = "url-ca"
_PROXY = "GATEWAY_URL_PROXY"


def url_variables(ic: ImageClassifier) -> list[Manifest]:
    """The environment variables."""
    urls, proxy = ic.gateway.urls, ic.gateway.urls.proxy
    values = {
        "GATEWAY_URL_ALLOWED_HOSTS": ",".join(urls.allowed_hosts),
        "GATEWAY_URL_ALLOW_PRIVATE_NETWORKS": "true" if urls.allow_private_networks else "false",
        "GATEWAY_URL_USER_AGENT": urls.user_agent,
        **({} if proxy is None else proxy.variables(_PROXY)),
        "GATEWAY_URL_CA_FILE": "" if urls.ca_bundle is None else f"{_CA_DIRECTORY}/{_CA_FILE}",
    }
    return [*variables(values), *([] if proxy is None else proxy.credentials(_PROXY))]


def url_volumes(ic: ImageClassifier) -> list[Manifest]:
    """The volume with the certificates of private authorities, if the spec names some."""
    bundle = ic.gateway.urls.ca_bundle
    if bundle is None:
        return []
    items = [{"key": bundle.key, "path": _CA_FILE}]
    return [{"name": _CA_VOLUME, "configMap": {"name": bundle.name, "items": items}}]


def url_mounts(ic: ImageClassifier) -> list[Manifest]:
    """The mount of `url_volumes`."""
    if ic.gateway.urls.ca_bundle is None:
        return []
    return [{"name": _CA_VOLUME, "mountPath": _CA_DIRECTORY, "readOnly": True}]
