"""The gateway updates: a new gateway image rolls through the classifiers of a cluster a few at a time.

An upgrade of the operator changes the gateway image of every ImageClassifier. Without a limit all gateways
would restart within minutes, also if the new image does not work. An ImageClassifier that waits for its turn
keeps its Deployment as it is, and is no less healthy for it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from imageclassifier_operator.api import names
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.kinds import DEPLOYMENTS
from imageclassifier_operator.observe.objects import is_rolled_out, is_written_from
from imageclassifier_operator.reconcile.request import ValidRequest
from imageclassifier_operator.runtime.cache import Cache
from imageclassifier_operator.runtime.work_queue import Key

TURN_SECONDS = 600.0
"""After this long a turn ends, although the new pods are not available: they may wait for a node."""


@dataclass
class GatewayUpdates:
    """Who updates its gateways now, and who waits. `limit`: how many may update at once."""

    cache: Cache
    limit: int
    call: Callable[[Key], None] = lambda _: None
    """Called with the key of the ImageClassifier whose turn it is, so that it is reconciled."""
    _since: dict[Key, float] | None = None
    """Who has a turn, and since when. None until the first question of this process."""
    _waiting: dict[Key, None] = field(default_factory=dict)
    _called: set[Key] = field(default_factory=set)
    """Whose turn it is, but who was not reconciled since."""

    def must_wait(self, request: ValidRequest, live: Json | None) -> bool:
        """Whether this ImageClassifier has to keep the Deployment of its gateways as it is for now.

        A change by its user never waits: an image of its own, or a spec that the status does not know yet.
        """
        key, now, wanted = request.key, request.now, request.wanted_gateway
        turns = self._turns(wanted, now)
        # The image may be one that admission has set, such as that of a mirror.
        if live is None or _image(live) == _image(wanted) or is_written_from(live, wanted):
            if live is not None and key in turns and is_rolled_out(live):
                self.forget(key)
            self._leave_the_line(key)
            return False
        if key in turns or request.ic.gateway.image is not None or _spec_is_new(request.body):
            self._leave_the_line(key)
            return False
        if len(turns) < self.limit:
            turns[key] = now
            self._waiting.pop(key, None)
            self._called.discard(key)
            return False
        self._called.discard(key)
        self._waiting.setdefault(key)
        return True

    def seconds_left(self, key: Key, now: float) -> float | None:
        """Seconds until the turn of this ImageClassifier ends in any case; None without one."""
        since = (self._since or {}).get(key)
        return None if since is None else max(0.0, since + TURN_SECONDS - now)

    def forget(self, key: Key) -> None:
        """End the turn of this ImageClassifier, and let the next one have it."""
        self._leave_the_line(key)
        if self._since is not None and self._since.pop(key, None) is not None:
            self._call_next()

    def _turns(self, wanted: Json, now: float) -> dict[Key, float]:
        if self._since is None:
            # The last leader may have begun with some.
            keys = self.cache.keys(DEPLOYMENTS)
            self._since = dict.fromkeys(self._updating_to(_image(wanted), keys), now)
        for key in [key for key, since in self._since.items() if now - since >= TURN_SECONDS]:
            self.forget(key)
        return self._since

    def _updating_to(self, image: str, keys: Iterable[Key]) -> list[Key]:
        live = {key: self.cache.get(DEPLOYMENTS, key, names.gateway_name(key.name)) for key in keys}
        return [
            key
            for key, each in live.items()
            if each is not None and _image(each) == image and not is_rolled_out(each)
        ]

    def _leave_the_line(self, key: Key) -> None:
        """Do not wait any more. Somebody who was called, and did not need the turn, lets the next have it."""
        self._waiting.pop(key, None)
        if key in self._called:
            self._called.discard(key)
            self._call_next()

    def _call_next(self) -> None:
        if (key := next(iter(self._waiting), None)) is not None:
            del self._waiting[key]
            self._called.add(key)
            self.call(key)


def _image(deployment: Json) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _spec_is_new(body: Json) -> bool:
    observed = (body.get("status") or {}).get("observedGeneration")
    return bool(observed != body["metadata"].get("generation", 0))
