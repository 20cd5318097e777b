"""The ImageClassifier's spec as frozen values: `parse` reads it, `ServedVersion` is what one version is
made from.
"""

from imageclassifier_operator.spec.classifier import Autoscaling, ImageClassifier, Model, parse
from imageclassifier_operator.spec.errors import InvalidSpec
from imageclassifier_operator.spec.gateway import GatewayIngress, GatewayService, GatewaySettings, GatewayUrls
from imageclassifier_operator.spec.rollout import (
    Acceptance,
    AcceptanceCase,
    ConfigMapKey,
    Limits,
    RolloutSettings,
    Shadow,
    Step,
    Sticky,
)
from imageclassifier_operator.spec.served import ServedVersion
from imageclassifier_operator.spec.serving import (
    Batching,
    ImageSource,
    ModelSource,
    ServingSettings,
    VolumeSource,
)

__all__ = [
    "Acceptance",
    "AcceptanceCase",
    "Autoscaling",
    "Batching",
    "ConfigMapKey",
    "GatewayIngress",
    "GatewayService",
    "GatewaySettings",
    "GatewayUrls",
    "ImageClassifier",
    "ImageSource",
    "InvalidSpec",
    "Limits",
    "Model",
    "ModelSource",
    "RolloutSettings",
    "ServedVersion",
    "ServingSettings",
    "Shadow",
    "Step",
    "Sticky",
    "VolumeSource",
    "parse",
]
