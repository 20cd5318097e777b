"""When to retry the annotation of a gateway pod that has not applied the newest routing.

The annotation makes the kubelet refresh the pod's routing file at once. One is not always enough: it can
overtake the kubelet's own watch of the ConfigMap. After some quick retries the interval doubles each time.
`routing_writer.RoutingWriter.annotate_gateways` writes the annotation.
"""

from collections.abc import Container
from dataclasses import dataclass, field

QUICK_RETRY_SECONDS = 0.4
QUICK_RETRIES = 10
MAX_RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class Annotated:
    """How often a gateway pod was annotated for `revision`, and when it was last."""

    revision: int
    count: int
    at: float


@dataclass
class AnnotationRetries:
    """The annotations of the gateway pods of one ImageClassifier, by the pods' uids."""

    _annotated: dict[str, Annotated] = field(default_factory=dict)

    def is_due(self, uid: str, revision: int, now: float) -> bool:
        """Whether to annotate the pod now: it was not annotated for this revision, or a retry is due."""
        last = self._annotated.get(uid)
        if last is None or last.revision != revision:
            return True
        wait = QUICK_RETRY_SECONDS * 2.0 ** max(0, last.count - QUICK_RETRIES)
        return now - last.at >= min(MAX_RETRY_SECONDS, wait)

    def count(self, uid: str, revision: int) -> int:
        """How often the pod was annotated for this revision."""
        last = self._annotated.get(uid)
        return last.count if last is not None and last.revision == revision else 0

    def record(self, uid: str, revision: int, now: float) -> None:
        """Record that the pod was annotated for this revision."""
        self._annotated[uid] = Annotated(revision, self.count(uid, revision) + 1, now)

    def forget_other_pods(self, uids: Container[str]) -> None:
        """Keep the pods with these uids, and drop all others."""
        self._annotated = {uid: one for uid, one in self._annotated.items() if uid in uids}
