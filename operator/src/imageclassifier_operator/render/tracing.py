"""The environment variables with which gateways and verifications send traces. Pure."""

from imageclassifier_operator.api import ImageClassifier
from imageclassifier_operator.render.shared_parts import Manifest, variables


def tracing_variables(ic: ImageClassifier, component: str) -> list[Manifest]:
    """The variables, if the spec asks for traces. `component`: the end of the service's name."""
    tracing = ic.gateway.tracing
    if tracing is None:
        return []
    sampler = "parentbased_traceidratio" if tracing.sample_percent < 100 else ""
    return variables(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": tracing.endpoint,
            "OTEL_SERVICE_NAME": f"{ic.name}-{component}",
            "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={ic.namespace},k8s.namespace.name={ic.namespace}",
            "OTEL_TRACES_SAMPLER": sampler,
            "OTEL_TRACES_SAMPLER_ARG": f"{tracing.sample_percent / 100:g}" if sampler else "",
        }
    )
