"""The manifests of an ImageClassifier's children. Pure: no I/O. All but the routing have their own hash."""

from imageclassifier_operator.api import ImageClassifier, ModelVersion, PodTemplate
from imageclassifier_operator.render import gateway, model_server, verification
from imageclassifier_operator.render.autoscaler import autoscalers
from imageclassifier_operator.render.http_route import http_routes
from imageclassifier_operator.render.network_policy import download_policies, network_policies
from imageclassifier_operator.render.pod_template import refuse_conflicts, with_template
from imageclassifier_operator.render.routing_config_map import routing_config_map
from imageclassifier_operator.render.shared_parts import (
    USUAL_INSTALLATION,
    Installation,
    Manifest,
    Owner,
    marked,
)
from imageclassifier_operator.render.verification import picture_file

__all__ = [
    "USUAL_INSTALLATION",
    "Installation",
    "Manifest",
    "Owner",
    "gateway_deployment",
    "picture_file",
    "refuse_template_conflicts",
    "routing_config_map",
    "serving_children",
    "shared_children",
    "verify_job",
]


def shared_children(
    ic: ImageClassifier, installation: Installation, *, may_shrink: bool = True
) -> tuple[Manifest, ...]:
    """The children that belong to no version, without the gateway's Deployment and the routing ConfigMap.

    `may_shrink`: see `autoscalers`.
    """
    others = (
        gateway.gateway_service(ic),
        *gateway.gateway_disruption_budgets(ic),
        *network_policies(ic, installation),
        *autoscalers(ic, may_shrink=may_shrink),
        *gateway.gateway_ingress(ic),
        *http_routes(ic),
    )
    return tuple(map(marked, others))


def gateway_deployment(ic: ImageClassifier, installation: Installation, replicas: int | None) -> Manifest:
    """The gateway's Deployment. `replicas`: None if somebody else scales the gateway."""
    rendered = gateway.gateway_deployment(ic, installation, replicas)
    return marked(with_template(rendered, ic.gateway.template))


def serving_children(
    ic: ImageClassifier,
    served: ModelVersion,
    replicas: int,
    *,
    has_served: bool = False,
    pod_hash: str | None = None,
    installation: Installation = USUAL_INSTALLATION,
) -> tuple[Manifest, ...]:
    """The children of one version, of which the first is the Deployment."""
    deployment, *others = model_server.serving_children(
        ic, served, replicas, has_served=has_served, pod_hash=pod_hash
    )
    policies = download_policies(ic, served, installation)
    return tuple(map(marked, (with_template(deployment, served.serving.template), *others, *policies)))


def verify_job(
    ic: ImageClassifier, served: ModelVersion, plan_json: str, attempt: str, installation: Installation
) -> tuple[Manifest, ...]:
    """The verification of one version: the ConfigMap with its plan, and the Job."""
    *others, job = verification.verify_job(ic, served, plan_json, attempt, installation)
    return tuple(map(marked, (*others, with_template(job, ic.verification))))


def refuse_template_conflicts(ic: ImageClassifier, installation: Installation) -> None:
    """Raise InvalidSpec if a template of the spec has a volume, mount or variable that the operator uses."""
    empty, served = PodTemplate(), ic.candidate("")
    if ic.serving.template != empty:
        deployment = model_server.serving_children(ic, served, 1)[0]
        refuse_conflicts(deployment, ic.serving.template, "spec.serving.template")
    if ic.gateway.template != empty:
        deployment = gateway.gateway_deployment(ic, installation, None)
        refuse_conflicts(deployment, ic.gateway.template, "spec.gateway.template")
    if ic.verification != empty:
        job = verification.verify_job(ic, served, "{}", "", installation)[-1]
        part = "gateway" if ic.verification is ic.gateway.template else "verification"
        refuse_conflicts(job, ic.verification, f"spec.{part}.template")
