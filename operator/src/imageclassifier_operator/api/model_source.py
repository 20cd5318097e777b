"""`spec.model.source`: where the files of a model come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.json import Json


@dataclass(frozen=True)
class ImageSource:
    """An image with the model under `/models/<model name>/<version>`, and with the command `cp`."""

    image: str
    pull_policy: str | None = None
    pull_secrets: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "imagePullSecrets": [{"name": name} for name in self.pull_secrets],
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

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `source_from_json` reads."""
        return {
            "https": {
                "url": self.url,
                "sha256": self.sha256,
                "caBundle": None if self.ca_bundle is None else list(self.ca_bundle),
                "headersSecret": self.headers_secret,
            }
        }


ModelSource = ImageSource | VolumeSource | HttpsSource


def parse_source(source: Json, *, model_name: str, version: int) -> ModelSource:
    """Read `spec.model.source`, and fill in `{version}`. Raises InvalidSpec for no source, or several."""
    image, claim, https = only_source(source, "spec.model.source", "image", "persistentVolumeClaim", "https")
    if image is not None:
        reference = image["reference"].replace("{version}", str(version))
        return ImageSource(reference, image.get("pullPolicy"), secret_names(image.get("pullSecrets")))
    if claim is not None:
        return VolumeSource(claim["claimName"], claim.get("path") or model_name)
    assert https is not None
    bundle, headers = https.get("caBundle"), https.get("headersFrom")
    return HttpsSource(
        https["url"].replace("{version}", str(version)),
        https["sha256"],
        None if bundle is None else (bundle["configMap"]["name"], bundle["configMap"]["key"]),
        None if headers is None else headers["secret"],
    )


def source_from_json(stored: Json) -> ModelSource:
    """The inverse of `to_json` of a source. Raises KeyError or TypeError for any other document."""
    if "image" in stored:
        secrets = secret_names(stored["imagePullSecrets"])
        return ImageSource(stored["image"], stored["imagePullPolicy"], secrets)
    if "https" in stored:
        https = stored["https"]
        bundle = None if https["caBundle"] is None else (https["caBundle"][0], https["caBundle"][1])
        return HttpsSource(https["url"], https["sha256"], bundle, https["headersSecret"])
    claim = stored["persistentVolumeClaim"]
    return VolumeSource(claim["claimName"], claim["path"])


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
