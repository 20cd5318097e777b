"""The ImageClassifier as a value, parsed from the stored object.

The CRD's schema and CEL rules have already checked most of it. `parse` repeats the checks without which a
child would be wrong, because an object may be older than a rule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from imageclassifier_operator.api.autoscaling import Autoscaling
from imageclassifier_operator.api.contract import parse_contract
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.gateway import GatewaySettings
from imageclassifier_operator.api.model_source import HttpsSource, ModelSource, StorageSource, parse_source
from imageclassifier_operator.api.model_version import ModelVersion
from imageclassifier_operator.api.pod_template import PodTemplate
from imageclassifier_operator.api.preparer import Preparer
from imageclassifier_operator.api.quantity import cores
from imageclassifier_operator.api.removed_fields import refuse_removed_fields
from imageclassifier_operator.api.rollout import RolloutSettings
from imageclassifier_operator.api.serving import ServingSettings
from imageclassifier_operator.api.stored_size import refuse_too_large
from imageclassifier_operator.api.unfamiliar import parse_unfamiliar
from imageclassifier_operator.api.unsure import parse_unsure

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_MAX_VERSION = 2_147_483_647


@dataclass(frozen=True)
class Model:
    """`spec.model`: the name, version and source of the model."""

    name: str
    version: int
    source: ModelSource


@dataclass(frozen=True)
class ImageClassifier:
    """One ImageClassifier. `contract` is explained at ModelVersion."""

    name: str
    namespace: str
    uid: str
    generation: int
    annotations: Mapping[str, str]
    model: Model
    contract: Mapping[str, Any] | None
    replicas: int
    autoscaling: Autoscaling | None
    serving: ServingSettings
    gateway: GatewaySettings
    rollout: RolloutSettings
    verification: PodTemplate = field(default_factory=PodTemplate)
    """What a user adds to the pods of verifications; by default the same as to those of the gateway."""
    unsure: Mapping[str, Any] | None = None
    unfamiliar: Mapping[str, Any] | None = None
    stopped: bool = False
    """No pods run, and everything else is kept."""

    def candidate(self, default_serving_image: str, default_gateway_image: str = "") -> ModelVersion:
        """The version in the spec. The default images are those of the operator's release."""
        version = ModelVersion(
            version=self.model.version,
            model_name=self.model.name,
            source=self.model.source,
            serving=self.serving,
            contract=self.contract,
            unsure=self.unsure,
            unfamiliar=self.unfamiliar,
            server_image=self.serving.image or default_serving_image,
        )
        if version.class_file is None and not isinstance(version.source, HttpsSource | StorageSource):
            return version
        return replace(version, preparer=Preparer.of(self.gateway, default_gateway_image))


def parse(body: Mapping[str, Any], class_text: str | None = None) -> ImageClassifier:
    """The ImageClassifier in `body`, which may lack the CRD's defaults.

    `class_text`: the text that `spec.classesFrom` refers to, see `classes_reference`.
    Raises InvalidSpec with the message for the user.
    """
    metadata, spec = body["metadata"], body.get("spec") or {}
    name = metadata["name"]
    if not _NAME.fullmatch(name):
        raise InvalidSpec(
            f"The name {name} is invalid, because names of Services are made from it. Use a name that "
            "starts with a letter, contains only lower-case letters, digits and -, and has at most 40 "
            "characters."
        )
    try:
        return _parse(metadata, spec, class_text)
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidSpec(
            f"The spec does not match this operator's CRD ({type(error).__name__}: {error}). "
            "Install the CRD of the operator's release."
        ) from error


def _parse(metadata: Mapping[str, Any], spec: Mapping[str, Any], class_text: str | None) -> ImageClassifier:
    refuse_removed_fields(spec)
    model = spec["model"]
    version = model["version"]
    if not 1 <= version <= _MAX_VERSION:
        raise InvalidSpec(f"spec.model.version is {version}. Use a number from 1 to {_MAX_VERSION}.")
    model_name = model.get("name") or metadata["name"]
    source = parse_source(model.get("source") or {}, model_name=model_name, version=version)
    gateway = GatewaySettings.parse(spec.get("gateway") or {})
    verification = (spec.get("verification") or {}).get("template")
    ic = ImageClassifier(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        annotations=dict(metadata.get("annotations") or {}),
        model=Model(model_name, version, source),
        contract=parse_contract(spec, model_name=model_name, class_text=class_text),
        unsure=parse_unsure(spec.get("unsure")),
        unfamiliar=parse_unfamiliar(spec.get("unfamiliar")),
        replicas=_replicas(spec),
        stopped=bool(spec.get("stopped", False)),
        autoscaling=Autoscaling.parse(spec.get("autoscaling"), "spec.autoscaling"),
        serving=_serving(spec.get("serving") or {}),
        gateway=gateway,
        rollout=RolloutSettings.parse(spec.get("rollout") or {}),
        verification=gateway.template if verification is None else PodTemplate.parse(verification),
    )
    refuse_too_large(ic.candidate(""))
    return ic


def _replicas(spec: Mapping[str, Any]) -> int:
    replicas: int = spec.get("replicas", 1)
    if replicas < 1:
        raise InvalidSpec(
            f"spec.replicas is {replicas}, which is less than 1. To stop the classifier and keep its state, "
            "set spec.stopped to true."
        )
    return replicas


def _serving(serving: Mapping[str, Any]) -> ServingSettings:
    parsed = ServingSettings.parse(serving)
    limit = parsed.resources.get("limits", {}).get("cpu")
    if parsed.batching is not None and limit is not None:
        try:
            cores(limit)
        except InvalidSpec as error:
            raise InvalidSpec(
                f"spec.serving.resources.limits.cpu is invalid: {error} "
                "spec.serving.batching uses one thread for each core."
            ) from None
    return parsed
