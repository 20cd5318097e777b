"""The API of the CRD in Python: names, kinds, reasons, status limits, and the spec as frozen values."""

from imageclassifier_operator.api.autoscaling import Autoscaling
from imageclassifier_operator.api.classifier import ImageClassifier, Model, parse
from imageclassifier_operator.api.dataset import (
    Dataset,
    DatasetClaim,
    DatasetImage,
    LabelledConfigMap,
)
from imageclassifier_operator.api.egress_proxy import EgressProxy
from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.gateway import (
    Access,
    GatewayCors,
    GatewayIngress,
    GatewayService,
    GatewaySettings,
    GatewayUrls,
    Tracing,
)
from imageclassifier_operator.api.http_route import GatewayHttpRoute
from imageclassifier_operator.api.model_source import (
    HttpsSource,
    ImageSource,
    ModelSource,
    StorageSource,
    VolumeSource,
)
from imageclassifier_operator.api.model_version import ModelVersion
from imageclassifier_operator.api.pod_template import PodTemplate
from imageclassifier_operator.api.rollout import (
    Acceptance,
    AcceptanceCase,
    ConfigMapKey,
    Limits,
    RolloutSettings,
    Shadow,
    Step,
    Sticky,
)
from imageclassifier_operator.api.serving import Batching, ServingSettings

__all__ = [
    "Acceptance",
    "AcceptanceCase",
    "Access",
    "Autoscaling",
    "Batching",
    "ConfigMapKey",
    "Dataset",
    "DatasetClaim",
    "DatasetImage",
    "EgressProxy",
    "GatewayCors",
    "GatewayHttpRoute",
    "GatewayIngress",
    "GatewayService",
    "GatewaySettings",
    "GatewayUrls",
    "HttpsSource",
    "ImageClassifier",
    "ImageSource",
    "InvalidSpec",
    "LabelledConfigMap",
    "Limits",
    "Model",
    "ModelSource",
    "ModelVersion",
    "PodTemplate",
    "RolloutSettings",
    "ServingSettings",
    "Shadow",
    "Step",
    "Sticky",
    "StorageSource",
    "Tracing",
    "VolumeSource",
    "parse",
]
