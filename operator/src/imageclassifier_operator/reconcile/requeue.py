"""When an ImageClassifier is reconciled again by time alone.

The intervals at which gateways are asked are in `observe/gateway_intervals.py`.
"""

from imageclassifier_operator.observe.gateway_intervals import (
    ACKNOWLEDGEMENT_POLL_SECONDS,
    MAX_ACKNOWLEDGEMENT_POLL_SECONDS,
)
from imageclassifier_operator.observe.types import Problem, Snapshot
from imageclassifier_operator.reconcile.children import VERIFY_AGAIN_SECONDS
from imageclassifier_operator.reconcile.request import Request, ValidRequest
from imageclassifier_operator.reconcile.verification_progress import PROGRESS_POLL_SECONDS
from imageclassifier_operator.rollout import Decision

BLOCKED_RETRY_SECONDS = 10.0
"""An object that blocks a write is not watched, so the write is retried this often."""
ANALYSIS_RETRY_SECONDS = 5.0
"""The longest back-off while a version under analysis gets traffic: a bad one must be rolled back soon."""
OUTDATED_RETRY_SECONDS = 0.1
"""The back-off after a write that failed because the state had changed: the newer one is in the cache now."""


def requeue_seconds(
    request: Request, decision: Decision, snapshot: Snapshot, blocked: Problem | None
) -> float | None:
    """Seconds until the next reconciliation is due; None when only an event can change something."""
    waits = [] if decision.requeue_seconds is None else [decision.requeue_seconds]
    memory = request.memory
    if decision.state.serving is not None and snapshot.acknowledged_seconds is None and snapshot.gateways:
        since = memory.routing_written[1] if memory.routing_written is not None else memory.started
        waits.append(
            min(
                MAX_ACKNOWLEDGEMENT_POLL_SECONDS,
                max(ACKNOWLEDGEMENT_POLL_SECONDS, (request.now - since) / 10),
            )
        )
    times = (memory.patience_ends, memory.gateway_turn_ends, memory.status_due)
    waits += [max(0.0, time - request.now) for time in times if time is not None]
    if blocked is not None or _waits_for_classes(request, decision):
        waits.append(BLOCKED_RETRY_SECONDS)
    if decision.verify and snapshot.verdict is None and _compares_pictures(request):
        waits.append(PROGRESS_POLL_SECONDS)
    if snapshot.verdict is not None and not snapshot.verdict.conclusive and decision.verify:
        waits.append(VERIFY_AGAIN_SECONDS)
    return min(waits) if waits else None


def _waits_for_classes(request: Request, decision: Decision) -> bool:
    """Whether a version that does not serve yet has its classes in a ConfigMap, which is not watched."""
    spec, serving = request.body.get("spec") or {}, decision.state.serving
    if not spec.get("classesFrom"):
        return False
    return serving is None or serving.version != spec["model"]["version"]


def _compares_pictures(request: Request) -> bool:
    return isinstance(request, ValidRequest) and request.ic.rollout.acceptance.dataset is not None
