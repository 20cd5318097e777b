"""What keeps gateways from the newest routing or from a version, as sentences with their own words. Pure."""

from imageclassifier_operator.excerpts import short
from imageclassifier_operator.observed import GatewayReport, Observed
from imageclassifier_operator.state import State

_UNCONNECTED = "it is not connected to it"
_NEXT = "look at its kubectl logs, and whether it can reach port 8500 of the model servers"


def unconnected(seen: Observed, version: int) -> str | None:
    """Which ready gateway is not connected to `version`, in its own words; None when none says so."""
    for gateway in sorted(seen.ready_gateways, key=lambda gateway: gateway.pod):
        said = None if gateway.report is None else gateway.report.versions.get(version)
        if said is not None and not said.ready:
            error = short(said.error or _UNCONNECTED)
            return f"gateway pod {gateway.pod}: {error}; if it stays so, {_NEXT}"
    return None


def unacknowledged(state: State, seen: Observed) -> str:
    """Which gateway has not acknowledged the newest routing, and why, as far as one says."""
    reports = {gateway.pod: gateway.report for gateway in seen.gateways}
    told = [_late(pod, reports.get(pod), state.revision) for pod in seen.unacknowledged]
    return min(told, default=(0, "a ready gateway is waited for"))[1]


def _late(pod: str, report: GatewayReport | None, revision: int) -> tuple[int, str]:
    """Why a gateway has not acknowledged `revision`; the number puts first what says most."""
    late = f"gateway pod {pod} has not acknowledged routing revision {revision}"
    if report is None:
        rank, why = 2, " yet"
        what_to_do = "see whether the operator can reach port 9697 of the gateway's pods"
    elif report.routing_error is None:
        rank, why = 1, f" yet, but is on {report.revision}"
        what_to_do = "see whether its kubelet brings changes of ConfigMaps"
    else:
        rank, why = 0, f": {short(report.routing_error)}"
        what_to_do = "see whether its image is of the operator's release"
    return rank, f"{late}{why}; if it stays so, {what_to_do}"
