"""A model version with all its inputs, as a value that can be stored.

The state of a rollout contains the ModelVersion of each version whose pods exist. So the previous version can
be rendered unchanged when the spec already describes the next one.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from imageclassifier_operator.api.class_list import identity
from imageclassifier_operator.api.contract import without_defaults
from imageclassifier_operator.api.model_source import (
    HttpsSource,
    ImageSource,
    ModelSource,
    StorageSource,
    source_from_json,
)
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.removed_fields import with_present_template
from imageclassifier_operator.api.serving import ServingSettings


def digest(value: Any) -> str:
    """A hash of a value, as 12 hexadecimal digits. Settings that have their default do not enter it.

    So a release that adds a setting changes no hash: it restarts no pods, and retries no failed version.
    """
    text = json.dumps(_without_defaults(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_defaults(value: Any) -> Any:
    """`value` as JSON, without the fields of dataclasses that have their default."""
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: _without_defaults(item) for field, item in fields if item != _default(field)}
    if isinstance(value, Mapping):
        return {key: _without_defaults(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_defaults(item) for item in value]
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    """The default of a field. A field without one gets a value that equals nothing."""
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


@dataclass(frozen=True)
class ModelVersion:
    """One model version and its inputs.

    `contract`: the contract in the spec, in the form of the routing file (docs/architecture.md); None for a
    model with its own. `server_image`: the image of the model server, with the operator's default at the time
    when the rollout started. It is not part of `input_hash`, so that an operator upgrade with another default
    starts no rollout.
    """

    version: int
    model_name: str
    source: ModelSource
    serving: ServingSettings
    contract: Mapping[str, Any] | None
    server_image: str
    unsure: Mapping[str, Any] | None = None
    """When a prediction is "I don't know", in the form of the routing file."""
    unfamiliar: Mapping[str, Any] | None = None
    """What changes in the model's rule for pictures unlike its training pictures, as in the routing file."""
    preparer: Preparer | None = None
    """The image that prepares the model's files, if they need it. Like `server_image`, it is not an input."""
    searches: bool = False
    """The files are not where a copy expects them, so the preparer searches them or says what is there."""
    alias_version: int | None = None
    """The number in the registry to which the alias in the source led when the rollout started. All pods
    download that, wherever the alias leads later.
    """

    @cached_property
    def class_file(self) -> Mapping[str, Any] | None:
        """The class file in the directory of the model, as the contract refers to it; None without one."""
        classes = None if self.contract is None else self.contract["classes"]
        return classes if isinstance(classes, Mapping) and "servable" in classes else None

    @cached_property
    def source_hash(self) -> str:
        """The hash of what cannot change once the version serves: files, input, output and classes.

        The messages of the classes and the threshold may change.
        """
        return digest([self.version, self.model_name, self._files(), self._meaning()])

    @cached_property
    def input_hash(self) -> str:
        """The hash of all inputs. A version that failed is retried when this changes."""
        contract = None if self.contract is None else without_defaults(self.contract)
        unsure = [] if self.unsure is None else [self.unsure]
        unfamiliar = [] if self.unfamiliar is None else [{"unfamiliar": self.unfamiliar}]
        rules = [*unsure, *unfamiliar]
        return digest([self.version, self.model_name, self.source, self.serving, contract, *rules])

    @cached_property
    def pod_hash(self) -> str:
        """The hash of what the model server's pods are made from, without the rest of the contract."""
        preparation = [] if self.preparer is None else [self.preparer, self.class_file, self.searches]
        alias = [] if self.alias_version is None else [self.alias_version]
        made_from = [self.version, self.model_name, self.source, self.serving, self.server_image]
        return digest([*made_from, *preparation, *alias])

    def _files(self) -> Any:
        source = self.source
        if isinstance(source, HttpsSource):
            return [source.sha256]  # the same files, wherever they are
        if isinstance(source, StorageSource):
            return [source.sha256] if source.sha256 else [source.uri, source.endpoint]
        return source.image if isinstance(source, ImageSource) else [source.claim_name, source.path]

    def _meaning(self) -> Any:
        if self.contract is None:
            return None
        contract = without_defaults(self.contract)
        return [contract["input"], contract["output"], identity(contract["classes"])]

    def to_json(self) -> dict[str, Any]:
        """A JSON form that `from_json` reads."""
        return {
            "version": self.version,
            "modelName": self.model_name,
            "source": self.source.to_json(),
            "serving": self.serving.to_json(),
            "contract": self.contract,
            "serverImage": self.server_image,
            **({} if self.unsure is None else {"unsure": self.unsure}),
            **({} if self.unfamiliar is None else {"unfamiliar": self.unfamiliar}),
            **({} if self.preparer is None else {"preparer": self.preparer.to_json()}),
            **({"searches": True} if self.searches else {}),
            **({} if self.alias_version is None else {"aliasVersion": self.alias_version}),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises KeyError, TypeError or InvalidSpec for any other document."""
        source, serving = stored["source"], with_present_template(stored["serving"])
        if "persistentVolumeClaim" in source and "imagePullSecrets" in source:
            # An earlier release had them there. They are for the model server's image.
            serving = {**serving, "imagePullSecrets": source["imagePullSecrets"]}
        return cls(
            version=stored["version"],
            model_name=stored["modelName"],
            source=source_from_json(source),
            serving=ServingSettings.parse(serving),
            contract=stored["contract"],
            server_image=stored["serverImage"],
            unsure=stored.get("unsure"),
            unfamiliar=stored.get("unfamiliar"),
            preparer=Preparer.from_json(stored["preparer"]) if stored.get("preparer") else None,
            searches=stored.get("searches", False),
            alias_version=stored.get("aliasVersion"),
        )
