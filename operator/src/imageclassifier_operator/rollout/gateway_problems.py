"""Problems that gateways report: they have not applied the newest routing, or cannot use a version. Pure."""

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.log_excerpts import one_line
from imageclassifier_operator.observe.types import GatewayReport, Problem, Snapshot
from imageclassifier_operator.rollout.state import State

_UNCONNECTED = "it is not connected to the version"
_ADVICE = "look at its log with kubectl logs, and check that it can reach port 8500 of the model servers."


def unusable(snapshot: Snapshot, version: int) -> tuple[Problem | None, bool]:
    """Why a ready gateway cannot use the serving version, and whether this holds for all that reported."""
    reports = {
        gateway.pod: gateway.serving
        for gateway in snapshot.ready_gateways
        if gateway.serving is not None and not gateway.silent
    }
    failing = sorted(pod for pod, report in reports.items() if not report.ready)
    if not failing:
        return None, False
    error = one_line(reports[failing[0]].error or _UNCONNECTED)
    message = f"Gateway pod {failing[0]} cannot use version {version}: {error}. To find the cause, {_ADVICE}"
    return Problem(Reason.VERSION_UNUSABLE, message), len(failing) == len(reports)


def unobserved(snapshot: Snapshot) -> Problem | None:
    """A ready gateway that has not answered probes for long; None without one."""
    silent = sorted(gateway.pod for gateway in snapshot.ready_gateways if gateway.silent)
    if not silent:
        return None
    return Problem(
        Reason.GATEWAYS_NOT_OBSERVED,
        f"Gateway pod {silent[0]} is ready but does not answer the operator. Check that network policies and "
        "the network let the operator's pod reach port 9697 of the gateway pods.",
    )


def unusable_secrets(snapshot: Snapshot) -> Problem | None:
    """What is wrong with the API keys or the certificate of a gateway, or that it is open by mistake."""
    for gateway in sorted(snapshot.gateways, key=lambda gateway: gateway.pod):
        if gateway.ignores_keys:
            return Problem(
                Reason.API_KEYS_UNUSABLE,
                f"Gateway pod {gateway.pod} is open to everybody although spec.gateway.authentication asks "
                "for API keys, because its image is of an earlier release. Correct spec.gateway.image.",
            )
        if gateway.access is not None and gateway.access.error is not None:
            return Problem(
                Reason.API_KEYS_UNUSABLE,
                f"Gateway pod {gateway.pod} cannot use all API keys: "
                f"{one_line(gateway.access.error)}. Correct the Secret in "
                "spec.gateway.authentication.apiKeys. Kubernetes gives the change to the gateways "
                "within two minutes.",
            )
        if gateway.access is not None and gateway.access.certificate_error is not None:
            return Problem(
                Reason.CERTIFICATE_UNUSABLE,
                f"Gateway pod {gateway.pod}: {one_line(gateway.access.certificate_error)}. Correct the "
                "Secret in spec.gateway.tls. Kubernetes gives the change to the gateways within two minutes.",
            )
    return None


def unready(snapshot: Snapshot) -> Problem | None:
    """Why a gateway is not ready, if it reports an error about the serving version."""
    for gateway in sorted(snapshot.gateways, key=lambda gateway: gateway.pod):
        if not gateway.ready and gateway.serving is not None and not gateway.serving.ready:
            error = one_line(gateway.serving.error or _UNCONNECTED)
            message = f"Gateway pod {gateway.pod} is not ready: {error}. To find the cause, {_ADVICE}"
            return Problem(Reason.NOT_ANSWERING, message)
    return None


def unconnected(snapshot: Snapshot, version: int) -> str | None:
    """A message about a ready gateway that is not connected to `version`; None without one."""
    for gateway in sorted(snapshot.ready_gateways, key=lambda gateway: gateway.pod):
        report = None if gateway.report is None else gateway.report.versions.get(version)
        if report is not None and not report.ready:
            error = one_line(report.error or _UNCONNECTED)
            return (
                f"Gateway pod {gateway.pod} cannot use version {version}: {error}. If this continues, "
                f"{_ADVICE}"
            )
    return None


def unacknowledged(state: State, snapshot: Snapshot) -> str:
    """A message about a gateway that has not applied the newest routing, with its own error if it has one."""
    reports = {gateway.pod: gateway.report for gateway in snapshot.gateways}
    messages = [_late(pod, reports.get(pod), state.revision) for pod in snapshot.unacknowledged]
    return min(messages, default=(0, "No gateway is ready."))[1]


def _late(pod: str, report: GatewayReport | None, revision: int) -> tuple[int, str]:
    """Why a gateway has not acknowledged `revision`. The number sorts the most specific message first."""
    late = f"Gateway pod {pod} has not acknowledged routing revision {revision}"
    if report is None:
        rank, why = 2, " yet"
        advice = "check that the operator can reach port 9697 of the gateway pods"
    elif report.routing_error is None:
        rank, why = 1, f" yet and still uses revision {report.revision}"
        advice = "check that the kubelet of its node updates mounted ConfigMaps"
    else:
        rank, why = 0, f": {one_line(report.routing_error)}"
        advice = "check that the gateway's image belongs to the same release as the operator"
    return rank, f"{late}{why}. If this continues, {advice}."
