"""Keeps the scores of pictures, so that the same picture need not be decoded and predicted again.

The cache answers only while a single version is routed to. During a rollout every picture goes to a model,
so that the figures of the versions are those of the models.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from ..contract import Contract, Decision
from ..pixels.images import PictureError
from ..stats import Stats
from .classify_request import Classified, ClassifyRequest
from .fleet import Fleet
from .predictor import Predictor

#: The memory for an entry without its probabilities: the digest, the tuples, the distance and the place in
#: the dict.
_ENTRY_BYTES = 400
#: A Python float in a tuple.
_PROBABILITY_BYTES = 32


#: The probabilities of the classes, and the distance from the training pictures, if the model returns it.
Row = tuple[tuple[float, ...], float | None]


class AnswerCache:
    """Scores by the digest of the picture, for one contract. Thread-safe.

    A contract that the gateway has read again is another one, even if it is equal: the pods may have got
    another model. The picture that was used least recently goes first.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._contract: Contract | None = None
        self._rows: OrderedDict[bytes, Row] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, contract: Contract, digests: Sequence[bytes]) -> list[Row | None]:
        """The scores of each picture; None for those that are not in the cache."""
        with self._lock:
            if contract is not self._contract:
                return [None] * len(digests)
            for digest in digests:
                if digest in self._rows:
                    self._rows.move_to_end(digest)
            return [self._rows.get(digest) for digest in digests]

    def keep(self, contract: Contract, rows: dict[bytes, Row]) -> None:
        """Add scores. Those of another contract are dropped."""
        each = _ENTRY_BYTES + _PROBABILITY_BYTES * len(contract.classes)
        with self._lock:
            if contract is not self._contract:
                self._contract = contract
                self._rows.clear()
            self._rows.update(rows)
            while len(self._rows) * each > self._max_bytes:
                self._rows.popitem(last=False)


class CachingPredictor:
    """A predictor that answers known pictures from a cache. Thread-safe."""

    def __init__(self, predictor: Predictor, stats: Stats, max_bytes: int) -> None:
        self._predictor = predictor
        self._stats = stats
        self._cache = AnswerCache(max_bytes)

    def fleet(self) -> Fleet:
        """The current versions. Raises as Predictor.fleet does."""
        return self._predictor.fleet()

    def classify(self, fleet: Fleet, request: ClassifyRequest) -> Classified:
        """Classify the pictures of one request; see Predictor.classify."""
        version = fleet.serving
        contract = version.state.contract
        names_another = request.version not in (None, version.number)
        if len(fleet.versions) > 1 or contract is None or names_another or request.explain:
            return self._predictor.classify(fleet, request)
        digests = [hashlib.sha256(picture).digest() for picture in request.pictures]
        found = self._cache.find(contract, digests)
        known = {index: contract.decide(*row) for index, row in enumerate(found) if row is not None}
        self._stats.cached_predictions.inc(len(known))
        self._predictor.count_labels(version.number, list(known.values()))
        missing = [index for index in range(len(digests)) if index not in known]
        new: dict[int, Decision | PictureError] = {}
        if missing:
            pictures = [request.pictures[index] for index in missing]
            answer = self._predictor.classify(fleet, replace(request, pictures=pictures))
            new = dict(zip(missing, answer.outcomes, strict=True))
            if version.state.contract is contract:
                self._keep(contract, digests, new)
        outcomes = [known[index] if index in known else new[index] for index in range(len(digests))]
        return Classified(version.model, version.number, outcomes)

    def _keep(
        self, contract: Contract, digests: Sequence[bytes], outcomes: dict[int, Decision | PictureError]
    ) -> None:
        self._cache.keep(
            contract,
            {
                digests[index]: (tuple(outcome.probabilities.values()), outcome.distance)
                for index, outcome in outcomes.items()
                if isinstance(outcome, Decision)
            },
        )
