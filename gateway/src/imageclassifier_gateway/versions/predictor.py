"""Classifies the pictures of a request: chooses a version, calls it, and falls back if it fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..contract import Contract, Decision, ModelInput
from ..limits.decoding import Decoder, Pixels
from ..pixels import images
from ..problems import Problem
from ..stats import Stats
from . import batches
from .classify_request import Classified, ClassifyRequest, Explained
from .counted_failures import Failure
from .fleet import Fleet, Version
from .model_server_errors import ModelServerError, ModelTimeoutError, ModelUnavailableError
from .routing import bucket, choose_version, random_bucket, retry_version
from .shadow import ShadowJob, ShadowSender
from .watcher import RoutingWatcher

#: How long a request waits for the contract of a serving version that is new in the routing file.
_CONTRACT_SECONDS = 5.0
#: Predictions of models with more classes share one label: each label is a time series in Prometheus.
MAX_COUNTED_CLASSES = 1000
OTHER_LABELS = "any"
#: The share of the remaining time that the first version gets if there is another one to retry on. The rest
#: is for the retry.
_FIRST_VERSION_SHARE = 0.5


@dataclass
class _Call:
    """The calls to one version for one request."""

    version: Version
    contract: Contract
    may_retry: bool
    #: The time to leave for a retry on another version. It is set before the first call.
    reserved_seconds: float | None = None
    seconds: float = 0.0
    pictures: int = 0


class _VersionFailedError(Exception):
    def __init__(self, version: Version, failure: Failure) -> None:
        super().__init__(str(failure.error))
        self.version, self.failure = version, failure


class Predictor:
    """Classifies requests with the versions of the routing file. Thread-safe."""

    def __init__(
        self,
        watcher: RoutingWatcher,
        stats: Stats,
        shadow: ShadowSender,
        decoder: Decoder,
        *,
        timeout_seconds: float,
        max_pixel_bytes: int,
    ) -> None:
        self._watcher = watcher
        self._stats = stats
        self._shadow = shadow
        self._decoder = decoder
        self._timeout_seconds = timeout_seconds
        self._max_pixel_bytes = max_pixel_bytes

    def fleet(self) -> Fleet:
        """The current versions. Raises Problem if there has been no valid routing file."""
        if self._watcher.fleet is None:
            raise Problem("not-ready", "The operator has not yet chosen a version to serve. Retry soon.")
        return self._watcher.fleet

    def classify(self, fleet: Fleet, request: ClassifyRequest) -> Classified:
        """Classify the pictures of one request, all with the same version.

        If a version under analysis fails or is unreachable, the request is retried on another version:
        `routing.retry_version` chooses it, and counted_failures.py decides whether the failure counts. If the
        client names a version, there is no retry. Raises Problem if no version returns a prediction.
        """
        number, other = _choose(fleet, request)
        failure: _VersionFailedError | None = None
        if other is not None and not fleet.versions[number].state.reachable:
            number = other
        elif other is not None:
            try:
                return self._ask(fleet.versions[number], request, may_retry=True)
            except _VersionFailedError as failed:
                failure, number = failed, other
        try:
            answer = self._ask(fleet.versions[number], request, may_retry=False, beside=failure)
        except _VersionFailedError as failed:
            if failed.failure.counts_alone(self._timeout_seconds):
                self._count_failure(failed)
            error = failed.failure.error
            raise Problem(
                error.cause, f"{error} Retry. If the error persists, check the pods of the model."
            ) from None
        self._offer_to_shadow(fleet, request, answer)
        return answer

    def count_labels(self, version: int, outcomes: Sequence[Decision | images.PictureError]) -> None:
        """Count the classified pictures of a version by their labels."""
        for outcome in outcomes:
            if isinstance(outcome, Decision):
                has_own_series = len(outcome.probabilities) <= MAX_COUNTED_CLASSES
                label = outcome.label if has_own_series else OTHER_LABELS
                self._stats.predictions.labels(version, label).inc()

    def _ask(
        self,
        version: Version,
        request: ClassifyRequest,
        *,
        may_retry: bool,
        beside: _VersionFailedError | None = None,
    ) -> Classified:
        """Classify with one version.

        `beside` is the failure of the first version. It may count if this version answers.
        """
        call = self._begin(version, request, may_retry=may_retry)
        wanted = call.contract.input
        count = batches.pictures_per_call(wanted, self._max_pixel_bytes)
        outcomes: list[Decision | images.PictureError] = []
        for first in range(0, len(request.pictures), count):
            prepared = self._prepare(request, wanted, first, count)
            good = [each for each in prepared if not isinstance(each, images.PictureError)]
            decisions = iter(self._decide(call, good, request))
            outcomes += [
                each if isinstance(each, images.PictureError) else next(decisions) for each in prepared
            ]
        self._count(call, outcomes)
        if beside is not None and beside.failure.counts_beside(call.seconds, self._timeout_seconds):
            self._count_failure(beside)
        return Classified(version.model, version.number, outcomes)

    def _begin(self, version: Version, request: ClassifyRequest, *, may_retry: bool) -> _Call:
        remaining = request.deadline.remaining_seconds()
        contract = version.wait_for_contract(0.0 if may_retry else min(remaining, _CONTRACT_SECONDS))
        if contract is None:
            error = ModelUnavailableError(
                f"Version {version.number} of {version.model} is not available: {version.state.error}"
            )
            raise _VersionFailedError(version, Failure(version.number, error, remaining, None))
        if request.explain and contract.explanation is None:
            raise Problem(
                "no-heat-map",
                f"Version {version.number} of {version.model} has no heat maps: its contract names no "
                "signature that says where a prediction comes from. Send the request without 'explain'.",
            )
        return _Call(version, contract, may_retry)

    def _prepare(
        self, request: ClassifyRequest, wanted: ModelInput, first: int, count: int
    ) -> list[Pixels | images.PictureError]:
        prepared = request.prepared(wanted, first)
        if prepared is None:
            began = time.monotonic()
            pictures = request.pictures[first : first + count]
            request.keep(wanted, first, None)  # frees its memory for the next pictures
            request.hold_once(wanted, len(pictures))
            try:
                with request.span.child("decode") as span:
                    span.set(imageclassifier__pictures=len(pictures))
                    prepared = self._decoder.prepare(pictures, wanted, request.deadline, request.admit_costly)
            finally:
                request.spend("decode", began)
            request.decoded()
            request.keep(wanted, first, prepared)
        return prepared

    def _decide(self, call: _Call, pixels: Sequence[Pixels], request: ClassifyRequest) -> list[Decision]:
        if not pixels:
            return []
        remaining = request.deadline.remaining_seconds()
        if remaining <= 0:
            raise Problem("timeout", "No time was left to call the model. Send fewer or smaller pictures.")
        if call.reserved_seconds is None:
            call.reserved_seconds = remaining * (1 - _FIRST_VERSION_SHARE) if call.may_retry else 0.0
        timeout_seconds = remaining - call.reserved_seconds
        began = time.monotonic()
        try:
            if timeout_seconds <= 0:
                raise ModelTimeoutError(
                    "The earlier pictures of the request used all the time of the candidate."
                )
            with request.span.child("model") as span:
                span.set(imageclassifier__version=call.version.number, imageclassifier__pictures=len(pixels))
                metadata = span.metadata(request.metadata)
                options = batches.CallOptions(timeout_seconds, retry_on_another_pod=True, metadata=metadata)
                scores = self._scores(call, pixels, options, request)
        except ModelServerError as error:
            call.seconds += time.monotonic() - began
            seconds = call.seconds / (call.pictures + len(pixels))
            failure = Failure(call.version.number, error, timeout_seconds, seconds)
            raise _VersionFailedError(call.version, failure) from None
        finally:
            request.spend("model", began)
        call.seconds += time.monotonic() - began
        call.pictures += len(pixels)
        return scores.decisions(call.contract)

    def _scores(
        self, call: _Call, pixels: Sequence[Pixels], options: batches.CallOptions, request: ClassifyRequest
    ) -> batches.Scores:
        server, contract = call.version.server, call.contract
        if not request.explain:
            return batches.predict(server, contract, pixels, options)
        scores = batches.predict_pixels(server, contract, pixels[:1], options, contract.explanation)
        assert scores.maps is not None
        request.explained = Explained(contract.input, pixels[0], scores.maps[0])
        return scores

    def _count_failure(self, failed: _VersionFailedError) -> None:
        """Count a failure. If the version did not answer, count it only if the next check succeeds."""
        failure = failed.failure

        def count() -> None:
            self._stats.failed(failure.version, failure.seconds)

        if failure.got_no_answer:
            failed.version.confirm(count)
        else:
            count()

    def _count(self, call: _Call, outcomes: Sequence[Decision | images.PictureError]) -> None:
        if not call.pictures:
            return
        # The time per picture: clients that send many pictures must not make a version look slow.
        self._stats.answered(call.version.number, call.seconds / call.pictures)
        self.count_labels(call.version.number, outcomes)

    def _offer_to_shadow(self, fleet: Fleet, request: ClassifyRequest, answer: Classified) -> None:
        shadow = fleet.routing.shadow
        if shadow is None or shadow.version == answer.version:
            return
        candidate = fleet.versions[shadow.version]
        contract = candidate.state.contract
        usable = [
            (index, outcome.label)
            for index, outcome in enumerate(answer.outcomes)
            if isinstance(outcome, Decision)
        ]
        if not usable:
            return
        prepared = request.prepared(contract.input, 0) if contract else None
        if prepared is not None and len(prepared) < len(request.pictures):
            prepared = None
        self._shadow.offer(
            shadow,
            ShadowJob(
                version=candidate,
                labels=tuple(label for _, label in usable),
                pictures=tuple(prepared[i] if prepared else request.pictures[i] for i, _ in usable),  # type: ignore[misc]
            ),
        )


def _choose(fleet: Fleet, request: ClassifyRequest) -> tuple[int, int | None]:
    """The version for the request, and the version to retry on if it fails."""
    serving = fleet.routing.serving
    if request.version is None:
        place = random_bucket() if request.sticky_value is None else bucket(request.sticky_value)
        number = choose_version(fleet.routing, place)
        return number, retry_version(fleet.routing, number)
    # Every other version is a candidate that is not yet promoted, or an old version.
    if request.version != serving:
        raise Problem(
            "not-found",
            f"Version {request.version} is not the serving version; version {serving} is. "
            "Leave the version out of the path to use the serving version.",
        )
    return serving, None
