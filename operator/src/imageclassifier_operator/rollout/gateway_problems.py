"""What keeps gateways from the newest routing or from a version, as sentences with their own words. Pure."""

from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.log_excerpts import short
from imageclassifier_operator.observe.types import GatewayReport, Observed, Problem
from imageclassifier_operator.rollout.state import State

_UNCONNECTED = "it is not connected to it"
_NEXT = "look at its kubectl logs, and whether it can reach port 8500 of the model servers"


def unusable(seen: Observed, version: int) -> tuple[Problem | None, bool]:
    """Why a ready gateway cannot use the serving version, and whether that holds for all that have said
    anything.
    """
    heard = {gateway.pod: gateway.serving for gateway in seen.ready_gateways if gateway.serving is not None}
    refused = sorted(pod for pod, said in heard.items() if not said.ready)
    if not refused:
        return None, False
    error = short(heard[refused[0]].error or _UNCONNECTED)
    message = f"gateway pod {refused[0]} cannot use version {version}: {error}; {_NEXT}"
    return Problem(Reason.VERSION_UNUSABLE, message), len(refused) == len(heard)


def unready(seen: Observed) -> Problem | None:
    """What a gateway that is not ready says of the serving version, if one says anything."""
    for gateway in sorted(seen.gateways, key=lambda gateway: gateway.pod):
        if not gateway.ready and gateway.serving is not None and not gateway.serving.ready:
            said = short(gateway.serving.error or _UNCONNECTED)
            return Problem(Reason.NOT_ANSWERING, f"gateway pod {gateway.pod} is not ready: {said}; {_NEXT}")
    return None


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
