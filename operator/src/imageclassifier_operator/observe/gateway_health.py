"""What gateways say of the serving version, remembered between passes, and when to ask them again.

A gateway that was ready once stays so when it loses the version: only it can tell. It is asked when other
pods, gateways or model servers, have become ready, again when it has had the time to notice, and for as long
as it complains; at rest nobody is asked. A gateway that does not answer has said nothing new, and what is
said for a moment only is no verdict: a connection that breaks may be there again at the next try.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from imageclassifier_operator.observe.types import GatewayReport, VersionReport

Json = Mapping[str, Any]

NOTICE_SECONDS = 5.0
"""A gateway looks after each version every two seconds, and waits two more for the answer."""
COMPLAINT_SECONDS = 3.0
"""For so long a complaint has to last; and so often whoever complains is asked again."""


@dataclass(frozen=True)
class Word:
    """What one gateway last said of a version; `since`: when it began to say whether it can use it as now."""

    version: int
    said: VersionReport
    since: float


@dataclass
class Hearing:
    """The last words of the gateways of one ImageClassifier, by the uid of their pods."""

    words: dict[str, Word] = field(default_factory=dict)
    asked: float | None = None
    _ready: frozenset[str] = frozenset()
    _ready_since: float = 0.0

    def look(self, ready: Iterable[Json], now: float) -> None:
        """Note which pods, of gateways and of the version's model servers, are ready now."""
        uids = frozenset(pod["metadata"]["uid"] for pod in ready)
        if uids != self._ready:
            self._ready, self._ready_since = uids, now

    def forget_others(self, there: set[str]) -> None:
        """Keep the words of these pods only."""
        self.words = {uid: word for uid, word in self.words.items() if uid in there}

    def hear(self, version: int, reports: Mapping[str, GatewayReport], now: float) -> None:
        """Note what was answered, by those who did."""
        self.asked = now
        for uid, report in reports.items():
            said, before = report.versions.get(version), self.words.get(uid)
            if said is None and report.routing_error is not None:
                said = VersionReport(ready=False, error=report.routing_error)
            if said is None:
                self.words.pop(uid, None)
                continue
            if before is None or before.version != version:
                since = -inf  # the first word, as after a change of leaders, is no change of mind
            else:
                since = before.since if before.said.ready == said.ready else now
            self.words[uid] = Word(version, said, since)

    def said(self, uid: str, version: int, now: float) -> VersionReport | None:
        """A gateway's verdict on `version`; None while it has none."""
        word = self.words.get(uid)
        if word is None or word.version != version:
            return None
        return word.said if word.said.ready or now - word.since >= COMPLAINT_SECONDS else None

    def ask_again_seconds(self, version: int, now: float) -> float | None:
        """In how many seconds the gateways have to be asked; None: what they said holds."""
        if self.asked is None or self.asked < self._ready_since:
            return 0.0
        if any(not word.said.ready for word in self.words.values() if word.version == version):
            return max(0.0, self.asked + COMPLAINT_SECONDS - now)
        noticed = self._ready_since + NOTICE_SECONDS
        return max(0.0, noticed - now) if self.asked < noticed else None
