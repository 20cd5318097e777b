"""`spec.rollout.acceptance.dataset`: labelled pictures on which versions are compared."""

from dataclasses import dataclass
from typing import Self

from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.model_source import only_source, secret_names


@dataclass(frozen=True)
class DatasetImage:
    """An image with the class folders below `path`, and with the command `cp`."""

    reference: str
    path: str = "/dataset"
    pull_policy: str | None = None
    pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetClaim:
    """A PersistentVolumeClaim with the class folders below `path`; empty for its root."""

    claim_name: str
    path: str = ""


@dataclass(frozen=True)
class LabelledConfigMap:
    """A ConfigMap whose keys are pictures of one class."""

    name: str
    label: str


DatasetSource = DatasetImage | DatasetClaim | tuple[LabelledConfigMap, ...]


@dataclass(frozen=True)
class Dataset:
    """The pictures, and what a version must reach on them.

    `timeout_seconds`: how much longer a verification with them may take.
    """

    source: DatasetSource
    significance_percent: int = 5
    min_accuracy_percent: int | None = None
    max_unreadable_percent: int = 1
    timeout_seconds: int = 3600

    @classmethod
    def parse(cls, dataset: Json) -> Self:
        """Read `spec.rollout.acceptance.dataset`. Raises InvalidSpec for no source, or several."""
        return cls(
            source=_source(dataset["source"]),
            significance_percent=dataset.get("significancePercent", cls.significance_percent),
            min_accuracy_percent=dataset.get("minAccuracyPercent"),
            max_unreadable_percent=dataset.get("maxUnreadablePercent", cls.max_unreadable_percent),
            timeout_seconds=dataset.get("timeoutSeconds", cls.timeout_seconds),
        )


def _source(source: Json) -> DatasetSource:
    field = "spec.rollout.acceptance.dataset.source"
    image, claim, maps = only_source(source, field, "image", "persistentVolumeClaim", "configMaps")
    if image is not None:
        return DatasetImage(
            reference=image["reference"],
            path=image.get("path", DatasetImage.path),
            pull_policy=image.get("pullPolicy"),
            pull_secrets=secret_names(image.get("pullSecrets")),
        )
    if claim is not None:
        return DatasetClaim(claim["claimName"], claim.get("path", DatasetClaim.path))
    return tuple(LabelledConfigMap(each["name"], each["label"]) for each in maps or ())
