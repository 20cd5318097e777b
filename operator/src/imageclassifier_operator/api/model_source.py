"""`spec.model.source`: where the files of a model come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api.egress_proxy import EgressProxy
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class ImageSource:
    """An image with the model under `/models/<model name>/<version>`.

    `mounted`: Kubernetes mounts it as a volume. Otherwise its command `cp` copies the model.
    """

    image: str
    pull_policy: str | None = None
    pull_secrets: tuple[str, ...] = ()
    mounted: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
            **({"mounted": True} if self.mounted else {}),
        }


@dataclass(frozen=True)
class VolumeSource:
    """A PersistentVolumeClaim with the model under `<path>/<version>`."""

    claim_name: str
    path: str

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {"persistentVolumeClaim": {"claimName": self.claim_name, "path": self.path}}


@dataclass(frozen=True)
class HttpsSource:
    """An archive with the model behind an HTTPS URL, and its SHA-256 digest in hexadecimal digits.

    `ca_bundle`: the ConfigMap and its key with further certificates to trust. `headers_secret`: the Secret
    with headers for the request, which only the pods mount.
    """

    url: str
    sha256: str
    ca_bundle: tuple[str, str] | None = None
    headers_secret: str | None = None
    proxy: EgressProxy | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {
            "https": {
                "url": self.url,
                "sha256": self.sha256,
                "caBundle": None if self.ca_bundle is None else list(self.ca_bundle),
                "headersSecret": self.headers_secret,
                **_stored_proxy(self.proxy),
            }
        }


@dataclass(frozen=True)
class StorageSource:
    """A directory or an archive with the model in a store of files, such as a bucket of S3.

    `sha256`: the digest of the archive or of all files, if the spec has one. `credentials_secret`: the Secret
    with the keys of the store, which only the pods mount.
    """

    uri: str
    sha256: str | None = None
    endpoint: str | None = None
    region: str | None = None
    ca_bundle: tuple[str, str] | None = None
    credentials_secret: str | None = None
    proxy: EgressProxy | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {
            "storage": {
                "uri": self.uri,
                "sha256": self.sha256,
                "endpoint": self.endpoint,
                "region": self.region,
                "caBundle": None if self.ca_bundle is None else list(self.ca_bundle),
                "credentialsSecret": self.credentials_secret,
                **_stored_proxy(self.proxy),
            }
        }


ModelSource = ImageSource | VolumeSource | HttpsSource | StorageSource


def parse_source(source: Json, *, model_name: str, version: int) -> ModelSource:
    """Read `spec.model.source`, and fill in `{version}`. Raises InvalidSpec for no source, or several."""
    image, claim, https, storage = only_source(
        source, "spec.model.source", "image", "persistentVolumeClaim", "https", "storage"
    )
    if image is not None:
        reference = image["reference"].replace("{version}", str(version))
        secrets = secret_names(image.get("pullSecrets"))
        return ImageSource(reference, image.get("pullPolicy"), secrets, image.get("mount") == "Volume")
    if claim is not None:
        return VolumeSource(claim["claimName"], claim.get("path") or model_name)
    if https is not None:
        headers = https.get("headersFrom")
        return HttpsSource(
            https["url"].replace("{version}", str(version)),
            https["sha256"],
            _ca_bundle(https),
            None if headers is None else headers["secret"],
            _proxy(https),
        )
    assert storage is not None
    credentials = storage.get("credentialsFrom")
    return StorageSource(
        storage["uri"].replace("{version}", str(version)),
        storage.get("sha256"),
        storage.get("endpoint"),
        storage.get("region"),
        _ca_bundle(storage),
        None if credentials is None else credentials["secret"],
        _proxy(storage),
    )


def _proxy(source: Json) -> EgressProxy | None:
    proxy = source.get("proxy")
    return None if proxy is None else EgressProxy.parse(proxy)


def _stored_proxy(proxy: EgressProxy | None) -> dict[str, Any]:
    """The entry of a stored source. Sources without a proxy are stored as before there were proxies."""
    return {} if proxy is None else {"proxy": proxy.to_json()}


def _ca_bundle(source: Json) -> tuple[str, str] | None:
    bundle = source.get("caBundle")
    return None if bundle is None else (bundle["configMap"]["name"], bundle["configMap"]["key"])


def source_from_json(stored: Json) -> ModelSource:
    """The inverse of `to_json` of a source. Raises KeyError or TypeError for any other document."""
    if "image" in stored:
        secrets = secret_names(stored["imagePullSecrets"])
        mounted = stored.get("mounted", False)
        return ImageSource(stored["image"], stored["imagePullPolicy"], secrets, mounted)
    if "https" in stored:
        https = stored["https"]
        return HttpsSource(
            https["url"], https["sha256"], _stored_bundle(https), https["headersSecret"], _proxy(https)
        )
    if "storage" in stored:
        storage = stored["storage"]
        return StorageSource(
            storage["uri"],
            storage["sha256"],
            storage["endpoint"],
            storage["region"],
            _stored_bundle(storage),
            storage["credentialsSecret"],
            _proxy(storage),
        )
    claim = stored["persistentVolumeClaim"]
    return VolumeSource(claim["claimName"], claim["path"])


def _stored_bundle(stored: Json) -> tuple[str, str] | None:
    bundle = stored["caBundle"]
    return None if bundle is None else (bundle[0], bundle[1])


def only_source(source: Json, field: str, *kinds: str) -> tuple[Any, ...]:
    """The values of all `kinds` of sources: one is not None. Raises InvalidSpec for none, or several."""
    values = tuple(source.get(kind) for kind in kinds)
    if sum(value is not None for value in values) != 1:
        *others, last = kinds
        raise InvalidSpec(
            f"{field} has no source, or several. Set exactly one of {', '.join(others)} and {last}."
        )
    return values


def secret_names(secrets: Sequence[Json] | None) -> tuple[str, ...]:
    """The names in a list of pull secrets.

    >>> secret_names([{"name": "registry"}])
    ('registry',)
    """
    return tuple(secret["name"] for secret in secrets or ())
