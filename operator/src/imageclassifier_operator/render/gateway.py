"""The gateway: its Deployment, Service, PodDisruptionBudget and optional Ingress."""

from collections.abc import Iterator
from typing import Any

from imageclassifier_operator.api import Access, GatewaySettings, ImageClassifier, names
from imageclassifier_operator.render.picture_urls import url_mounts, url_variables, url_volumes
from imageclassifier_operator.render.shared_parts import (
    TMP_MOUNT,
    TMP_VOLUME,
    Installation,
    Manifest,
    container,
    cpu_limit,
    deployment,
    disruption_budgets,
    metadata,
    pod_spec,
    pull_secrets,
    variables,
)
from imageclassifier_operator.render.tracing import tracing_variables

DRAIN_SECONDS = 10
"""How long a terminating gateway goes on answering, until load balancers and kube-proxy have noticed."""

_ROUTING_DIRECTORY = "/etc/imageclassifier/routing"
_API_KEYS_DIRECTORY = "/etc/imageclassifier/api-keys"
_TLS_DIRECTORY = "/etc/imageclassifier/tls"


def gateway_image(ic: ImageClassifier, installation: Installation) -> str:
    """The image of the gateway and of the verification Jobs."""
    return ic.gateway.image or installation.gateway_image


def gateway_deployment(ic: ImageClassifier, installation: Installation, replicas: int | None) -> Manifest:
    """The gateway's Deployment. Its pods start without a routing file and are ready with the first.

    `replicas`: None leaves the number to the autoscaler of the Deployment.
    """
    gateway = ic.gateway
    selector = names.selector(ic.name, "gateway")

    def probe(path: str, **timing: int) -> Manifest:
        return {"httpGet": {"path": path, "port": "internal", "scheme": "HTTP"}, **timing}

    pod = pod_spec(
        containers=[
            container(
                names.GATEWAY_CONTAINER,
                gateway_image(ic, installation),
                gateway.image_pull_policy,
                env=_environment(ic),
                ports=[
                    {"name": "http", "containerPort": names.GATEWAY_PORT, "protocol": "TCP"},
                    {"name": "internal", "containerPort": names.GATEWAY_INTERNAL_PORT, "protocol": "TCP"},
                ],
                startupProbe=probe("/livez", periodSeconds=1, timeoutSeconds=2, failureThreshold=60),
                readinessProbe=probe("/readyz", periodSeconds=2, timeoutSeconds=2, failureThreshold=2),
                livenessProbe=probe("/livez", periodSeconds=10, timeoutSeconds=5, failureThreshold=3),
                resources=gateway.resources,
                volumeMounts=[
                    {"name": "routing", "mountPath": _ROUTING_DIRECTORY, "readOnly": True},
                    *_secret_mounts(ic),
                    *url_mounts(ic),
                    TMP_MOUNT,
                ],
            )
        ],
        volumes=[
            {
                "name": "routing",
                "configMap": {
                    "name": names.routing_name(ic.name),
                    # The first routing is written when a version serves. The pods start before that.
                    "optional": True,
                    "items": [{"key": names.ROUTING_FILE, "path": names.ROUTING_FILE}],
                },
            },
            *_secret_volumes(ic),
            *url_volumes(ic),
            TMP_VOLUME,
        ],
        selector=selector,
        # The last request may need one timeout to arrive and one to be answered. The gateway ends sooner.
        termination_grace_seconds=DRAIN_SECONDS + 2 * gateway.timeout_seconds + 10,
    )
    if gateway.image_pull_secrets:
        pod["imagePullSecrets"] = pull_secrets(gateway.image_pull_secrets)
    return deployment(
        metadata(ic, names.gateway_name(ic.name), component="gateway"),
        replicas=replicas,
        selector=selector,
        pod=pod,
        pod_annotations=None
        if gateway.authentication is None
        else {names.ANNOTATION_ACCESS: Access.API_KEY.value},
    )


def _secrets(ic: ImageClassifier) -> Iterator[tuple[str, str, str]]:
    """The name of the volume, the directory and the Secret for each Secret that the gateway reads."""
    if ic.gateway.authentication is not None:
        yield "api-keys", _API_KEYS_DIRECTORY, ic.gateway.authentication.api_keys_secret_name
    if ic.gateway.tls is not None:
        yield "tls", _TLS_DIRECTORY, ic.gateway.tls.secret_name


def _secret_mounts(ic: ImageClassifier) -> list[Manifest]:
    return [
        {"name": volume, "mountPath": directory, "readOnly": True} for volume, directory, _ in _secrets(ic)
    ]


def _secret_volumes(ic: ImageClassifier) -> list[Manifest]:
    """No Secret is optional: without it, no container starts, so no gateway can be open by mistake."""
    return [{"name": volume, "secret": {"secretName": secret}} for volume, _, secret in _secrets(ic)]


def _environment(ic: ImageClassifier) -> list[Manifest]:
    gateway = ic.gateway
    # The order is that of earlier releases. Another order would replace the pods.
    first = {
        "GATEWAY_ROUTING_FILE": f"{_ROUTING_DIRECTORY}/{names.ROUTING_FILE}",
        "GATEWAY_TLS_DIRECTORY": "" if gateway.tls is None else _TLS_DIRECTORY,
        "GATEWAY_API_KEYS_DIRECTORY": "" if gateway.authentication is None else _API_KEYS_DIRECTORY,
        "GATEWAY_PORT": str(names.GATEWAY_PORT),
        "GATEWAY_INTERNAL_PORT": str(names.GATEWAY_INTERNAL_PORT),
        "GATEWAY_MAX_IMAGE_BYTES": str(gateway.max_image_bytes),
        "GATEWAY_MAX_IMAGE_PIXELS": max_image_pixels(gateway),
        "GATEWAY_CACHE_BYTES": str(gateway.cache_bytes or ""),
        "GATEWAY_TIMEOUT_SECONDS": str(gateway.timeout_seconds),
    }
    last = {
        "GATEWAY_CORS_ALLOWED_ORIGINS": ",".join(gateway.cors.allowed_origins),
        "GATEWAY_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    return [
        *variables(first),
        *url_variables(ic),
        *variables(last),
        *tracing_variables(ic, "gateway"),
        {"name": "GATEWAY_CPU_LIMIT", "valueFrom": cpu_limit(names.GATEWAY_CONTAINER)},
    ]


def max_image_pixels(gateway: GatewaySettings) -> str:
    """The value of the variable; empty for the gateway's own default, so that no pods are replaced for it."""
    is_default = gateway.max_image_pixels == GatewaySettings.max_image_pixels
    return "" if is_default else str(gateway.max_image_pixels)


def gateway_service(ic: ImageClassifier) -> Manifest:
    """The Service for users. It does not expose the internal port."""
    service, scheme = ic.gateway.service, ic.gateway.scheme
    port: Manifest = {
        "name": scheme, "port": service.port, "targetPort": "http", "protocol": "TCP",
    }  # fmt: skip
    if scheme == "https":
        port["appProtocol"] = scheme  # Ingress controllers and load balancers read it
    if service.node_port is not None:
        port["nodePort"] = service.node_port
    optional: Manifest = {
        "loadBalancerClass": service.load_balancer_class,
        "loadBalancerSourceRanges": list(service.load_balancer_source_ranges),
        "externalTrafficPolicy": service.external_traffic_policy,
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(
            ic,
            names.gateway_name(ic.name),
            component="gateway",
            annotations=dict(service.annotations),
        ),
        "spec": {
            "type": service.type,
            "selector": names.selector(ic.name, "gateway"),
            "ports": [port],
            **{name: value for name, value in optional.items() if value},
        },
    }


def gateway_disruption_budgets(ic: ImageClassifier) -> tuple[Manifest, ...]:
    """The PodDisruptionBudget of the gateway, if it has several pods, or may get several."""
    scaling = ic.gateway.autoscaling
    return disruption_budgets(
        metadata(ic, names.gateway_name(ic.name), component="gateway"),
        names.selector(ic.name, "gateway"),
        ic.gateway.replicas if scaling is None else scaling.max_replicas,
    )


def gateway_ingress(ic: ImageClassifier) -> tuple[Manifest, ...]:
    """The Ingress, if the spec has one."""
    ingress = ic.gateway.ingress
    if ingress is None:
        return ()
    backend = {"service": {"name": names.gateway_name(ic.name), "port": {"name": ic.gateway.scheme}}}
    spec: dict[str, Any] = {
        "rules": [
            {
                "host": ingress.host,
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            }
        ]
    }
    if ingress.class_name is not None:
        spec["ingressClassName"] = ingress.class_name
    if ingress.tls_secret_name is not None:
        spec["tls"] = [{"hosts": [ingress.host], "secretName": ingress.tls_secret_name}]
    return (
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": metadata(
                ic,
                names.gateway_name(ic.name),
                component="gateway",
                annotations=dict(ingress.annotations),
            ),
            "spec": spec,
        },
    )
