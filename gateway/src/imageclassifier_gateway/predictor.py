"""From the bytes of pictures to decisions: choose the version, prepare the pixels, ask it, and another when
it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import images
from .contract import SERVING_SIGNATURE, Contract, ContractError, Decision, ModelInput
from .deadline import Deadline
from .modelserver import ModelServer, ModelServerError, ModelTimeoutError, ModelUnavailableError, array
from .problems import Problem
from .routing import choose_version, stand_in
from .shadow import ShadowJob, ShadowSender
from .stats import Stats
from .versions import Fleet, Version
from .watcher import RoutingWatcher

#: How long a request waits for the contract of a serving version that was only just named.
_CONTRACT_SECONDS = 5.0
#: The share of the time left that a version on trial gets; the rest is for the one that stands in for it.
_TRIAL_SHARE = 0.5
#: How often the shadow looks whether a core is free for it.
_IDLE_LOOK_SECONDS = 0.01
#: With less than this share of a request's whole time a version that does not answer is not to blame: slow
#: URLs, or the pictures of others, had the rest.
_FAIR_SHARE = 0.1

Pixels = NDArray[np.uint8]
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Classified:
    """The outcome for one request: for each picture a decision or why it cannot be used, and who decided."""

    model: str
    version: int
    outcomes: list[Decision | images.PictureError]


@dataclass
class _Work:
    """One request on its way: its pictures, and what was prepared of them for each kind of input so far."""

    pictures: Sequence[bytes]
    deadline: Deadline
    metadata: Metadata
    #: What the stages `decode` and `model` have taken so far.
    seconds: dict[str, float]
    #: Makes room for so many bytes, or raises Problem.
    hold: Callable[[int], None]
    prepared: dict[ModelInput, list[Pixels | images.PictureError]] = field(default_factory=dict)

    def spend(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


class Predictor:
    """Answers requests with the versions of the routing file. May be used by many threads at once."""

    def __init__(
        self,
        watcher: RoutingWatcher,
        stats: Stats,
        shadow: ShadowSender,
        *,
        limits: images.Limits,
        decoding: threading.Semaphore,
        timeout_seconds: float,
    ) -> None:
        self._watcher = watcher
        self._stats = stats
        self._shadow = shadow
        self._limits = limits
        self._fair_seconds = timeout_seconds * _FAIR_SHARE
        self._decoding = decoding

    def fleet(self) -> Fleet:
        """The versions to work with now. Raises Problem while there is no routing file."""
        if self._watcher.fleet is None:
            raise Problem("not-ready", "The operator has not named a version to serve yet. Try again soon.")
        return self._watcher.fleet

    def classify(
        self,
        fleet: Fleet,
        pictures: Sequence[bytes],
        key: str,
        request_id: str,
        deadline: Deadline,
        metadata: Metadata,
        seconds: dict[str, float],
        hold: Callable[[int], None],
        version: int | None = None,
    ) -> Classified:
        """Classifies the pictures of one request, all by the same version.

        `key` is what the version is chosen by. A version on trial that fails in any way is counted, and the
        one that stands in for it answers. Who names a `version` is answered by that one or not at all.
        What decoding and the model take is added to `seconds`, also when it was for nothing. `hold` is asked
        for room before pixels are made. Raises Problem when no answer can be had.
        """
        work = _Work(pictures, deadline, metadata, seconds, hold)
        if version is not None:
            # Any other has not passed its trial, or is no longer wanted.
            if version != fleet.routing.serving:
                raise Problem(
                    "not-found",
                    f"Version {version} does not serve; version {fleet.routing.serving} does. "
                    "Name no version to be answered by the one that serves.",
                )
            number, other = version, None
        else:
            number = choose_version(fleet.routing, key)
            other = stand_in(fleet.routing, number)
        if other is not None:
            try:
                return self._ask(fleet.versions[number], work, on_trial=True)
            except ModelServerError:
                number = other  # the failure is counted; another version answers
        try:
            answer = self._ask(fleet.versions[number], work, on_trial=False)
        except ModelServerError as error:
            raise Problem(
                error.cause, f"{error} Try again; if it stays so, look at the model's pods."
            ) from None
        self._offer_to_shadow(fleet, work, answer, request_id)
        return answer

    def _ask(self, version: Version, work: _Work, *, on_trial: bool) -> Classified:
        patience_seconds = 0.0 if on_trial else min(work.deadline.remaining_seconds(), _CONTRACT_SECONDS)
        contract = version.wait_for_contract(patience_seconds)
        if contract is None:
            self._stats.failed(version.number, None)
            raise ModelUnavailableError(
                f"Version {version.number} of {version.model} is not there: {version.state.error}"
            )
        prepared = self._prepare(work, contract.input)
        good = [each for each in prepared if not isinstance(each, images.PictureError)]
        decisions = iter(self._decide(version, contract, good, work, on_trial=on_trial))
        outcomes = [each if isinstance(each, images.PictureError) else next(decisions) for each in prepared]
        return Classified(version.model, version.number, outcomes)

    def _prepare(self, work: _Work, wanted: ModelInput) -> list[Pixels | images.PictureError]:
        if wanted not in work.prepared:
            began = time.monotonic()
            work.hold(len(work.pictures) * request_bytes(wanted))
            try:
                work.prepared[wanted] = [
                    self._prepare_one(data, wanted, work.deadline) for data in work.pictures
                ]
            finally:
                work.spend("decode", time.monotonic() - began)
        return work.prepared[wanted]

    def _prepare_one(
        self, data: bytes, wanted: ModelInput, deadline: Deadline
    ) -> Pixels | images.PictureError:
        self._take_turn(deadline)
        try:
            return images.prepare(data, wanted, self._limits)
        except images.PictureError as error:
            return error
        finally:
            self._decoding.release()

    def _take_turn(self, deadline: Deadline) -> None:
        remaining = deadline.remaining_seconds()
        if remaining > 0:
            if self._decoding.acquire(blocking=False):
                return
            with self._stats.decodes_waiting.track_inprogress():
                if self._decoding.acquire(timeout=remaining):
                    return
        raise Problem("timeout", "The gateway was too busy to decode the picture in time. Try again later.")

    def _decide(
        self,
        version: Version,
        contract: Contract,
        pixels: Sequence[Pixels],
        work: _Work,
        *,
        on_trial: bool,
    ) -> list[Decision]:
        if not pixels:
            return []
        timeout_seconds = work.deadline.remaining_seconds() * (_TRIAL_SHARE if on_trial else 1.0)
        if timeout_seconds <= 0:
            raise Problem("timeout", "No time was left to ask the model. Send fewer or smaller pictures.")
        began = time.monotonic()
        try:
            probabilities = predict_pixels(
                version.server, contract, pixels, timeout_seconds, retry=not on_trial, metadata=work.metadata
            )
        except ModelServerError as error:
            if timeout_seconds >= self._fair_seconds or not isinstance(error, ModelTimeoutError):
                self._stats.failed(version.number, time.monotonic() - began)
            raise
        finally:
            work.spend("model", time.monotonic() - began)
        self._stats.answered(version.number, time.monotonic() - began)
        decisions = [contract.decide(row) for row in probabilities]
        for decision in decisions:
            self._stats.predictions.labels(version.number, decision.label).inc()
        return decisions

    def _offer_to_shadow(self, fleet: Fleet, work: _Work, answer: Classified, request_id: str) -> None:
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
        prepared = work.prepared.get(contract.input) if contract else None
        self._shadow.offer(
            shadow,
            request_id,
            ShadowJob(
                version=candidate,
                labels=tuple(label for _, label in usable),
                pictures=tuple(prepared[i] if prepared else work.pictures[i] for i, _ in usable),  # type: ignore[misc]
            ),
        )


def request_bytes(wanted: ModelInput) -> int:
    """Bytes that one prepared picture takes on its way: as pixels, in the batch, as the model's values, in
    the message and in what is sent of it."""
    pixels = 3 * wanted.height * wanted.width
    return pixels * (2 + 3 * np.dtype(wanted.dtype).itemsize)


def predict_pixels(
    server: ModelServer,
    contract: Contract,
    pixels: Sequence[Pixels],
    timeout_seconds: float,
    *,
    retry: bool,
    metadata: Metadata = (),
) -> NDArray[np.float64]:
    """Asks a version for the probabilities of prepared pictures, uint8 `(height, width, 3)` each, in one
    batch.

    Returns float64 `(pictures, classes)`. Raises ModelServerError when the call fails or the answer cannot be
    right.
    """
    batch = np.stack(pixels) if len(pixels) > 1 else pixels[0][np.newaxis]
    answer = server.predict(
        SERVING_SIGNATURE,
        {contract.input.tensor: contract.input.tensor_values(batch)},
        contract.output.tensor,
        timeout_seconds=timeout_seconds,
        retry=retry,
        metadata=metadata,
    )
    try:
        probabilities = contract.probabilities(array(answer))
    except ContractError as error:
        raise ModelServerError(str(error)) from None
    if len(probabilities) != len(pixels):
        raise ModelServerError(f"The model answered {len(probabilities)} rows for {len(pixels)} pictures.")
    return probabilities


def shadow_labels(
    job: ShadowJob, *, limits: images.Limits, decoding: threading.Semaphore, timeout_seconds: float
) -> list[str]:
    """What the shadow version says to the pictures of a job. Raises ModelServerError or PictureError."""
    contract = job.version.state.contract
    if contract is None:
        raise ModelUnavailableError(f"Version {job.version.number} of {job.version.model} is not there.")
    pixels = [
        _prepare_when_idle(each, contract.input, limits, decoding) if isinstance(each, bytes) else each
        for each in job.pictures
    ]
    probabilities = predict_pixels(job.version.server, contract, pixels, timeout_seconds, retry=False)
    return [contract.decide(row).label for row in probabilities]


def _prepare_when_idle(
    data: bytes, wanted: ModelInput, limits: images.Limits, decoding: threading.Semaphore
) -> Pixels:
    # In the queue of those who wait for their turn it would take as many turns as a user.
    while not decoding.acquire(blocking=False):
        time.sleep(_IDLE_LOOK_SECONDS)
    try:
        return images.prepare(data, wanted, limits)
    finally:
        decoding.release()
