"""The checks of a candidate before any request reaches it: contract, classes, golden and acceptance pictures.

They use the same preprocessing, the same client and the same decision as requests. docs/architecture.md
describes the plan and the verdict.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Settings
from ..contract import (
    CONTRACT_SIGNATURE,
    GOLDEN_SIGNATURE,
    Contract,
    ContractError,
    Golden,
    parse_contract,
    parse_golden,
)
from ..fetching.fetcher import Fetcher
from ..fetching.urls import FetchError
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels import images
from ..versions.batches import predict_pixels
from ..versions.model_failures import (
    MissingSignatureError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from ..versions.model_server_client import ModelServer
from .plan import Case, Plan, PlanError, Target, parse_plan
from .verdict import CaseResult, Verdict

_CALL_SECONDS = 10.0
_RETRY_SECONDS = 0.5
#: Calls of one picture that the latency is read from, where the deadline leaves time for them.
_LATENCY_CALLS = 20
_SERVING_SECONDS = 5.0


class NotCarriedOutError(Exception):
    """The verification could not be made, which says nothing about the model; the message says why."""


class RejectedError(Exception):
    """The candidate must not serve. `reason` is a word of the operator's closed list of reasons."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass
class Verification:
    """One run: the candidate, what is asked of it, and what has been found so far."""

    plan: Plan
    settings: Settings
    verdict: Verdict = field(default_factory=Verdict)
    _latencies_seconds: list[float] = field(default_factory=list)

    def run(self) -> Verdict:
        """Makes all checks. The verdict says how it went; nothing is raised for what a candidate may do."""
        try:
            self._deadline = Deadline.after(self.plan.deadline_seconds)
            self._server = _server(self.plan, self.plan.candidate)
            contract = self._wait_for_contract()
            self._check_classes(contract)
            cases = [(case, self._prepare_case(case, contract)) for case in self.plan.cases]
            self._check_golden(contract)
            self._check_cases(cases, contract)
            self._measure_latency(contract)
        except RejectedError as error:
            self.verdict.fail(error.reason, str(error))
        except NotCarriedOutError as error:
            self.verdict.give_up(str(error))
        self.verdict.record_latency(self._latencies_seconds)
        return self.verdict

    def _wait_for_contract(self) -> Contract:
        """The contract of the candidate; retries until the deadline while the candidate is not available."""
        given = self.plan.candidate.contract
        while True:
            try:
                if given is not None:
                    self._server.status(timeout_seconds=self._call_seconds())
                    return parse_contract(given, default_name=self.plan.model)
                text = self._server.text(CONTRACT_SIGNATURE, timeout_seconds=self._call_seconds())
                return parse_contract(text, default_name=self.plan.model)
            except (ModelUnavailableError, ModelTimeoutError) as error:
                if self._deadline.remaining_seconds() <= _RETRY_SECONDS:
                    raise NotCarriedOutError(f"The candidate could not be reached in time: {error}") from None
                time.sleep(_RETRY_SECONDS)
            except (ModelServerError, ContractError) as error:
                raise RejectedError(
                    "ContractInvalid", f"The candidate's contract cannot be used: {error}"
                ) from None

    def _check_classes(self, contract: Contract) -> None:
        serving = self.plan.serving
        if serving is None or self.plan.allow_class_change:
            return
        try:
            given: Any = serving.contract
            if given is None:
                server = _server(self.plan, serving)
                given = server.text(CONTRACT_SIGNATURE, timeout_seconds=_SERVING_SECONDS)
            before = parse_contract(given, default_name=self.plan.model)
        except (ModelServerError, ContractError) as error:
            # A broken serving version must not keep the one from serving that mends it.
            self.verdict.note(f"The classes could not be compared with those of the serving version: {error}")
            return
        if contract.class_names != before.class_names:
            raise RejectedError(
                "ClassesChanged",
                f"The classes changed from {_list(before.class_names)} to {_list(contract.class_names)}. "
                "If this is intended, set spec.rollout.allowClassChange to true.",
            )

    def _check_golden(self, contract: Contract) -> None:
        golden = self._read_golden()
        worst = 0.0
        for index, case in enumerate(golden.cases):
            try:
                pixels = images.prepare(case.png, contract.input)
            except images.PictureError as error:
                raise RejectedError(
                    "ContractInvalid", f"Golden picture {index} cannot be used: {error}"
                ) from None
            got = self._predict([pixels], contract)[0]
            if len(case.probabilities) != len(got):
                raise RejectedError(
                    "ContractInvalid", f"Golden picture {index} does not have one probability per class."
                )
            worst = max(worst, float(np.abs(got - np.array(case.probabilities)).max()))
        self.verdict.golden = {"cases": len(golden.cases), "worst_difference": round(worst, 6)}
        if worst > golden.tolerance:
            raise RejectedError(
                "GoldenFailed",
                f"A golden picture's probability differs by {worst:.4f} from the one recorded at training; "
                f"at most {golden.tolerance:g} is allowed. The model was changed after its export.",
            )

    def _read_golden(self) -> Golden:
        if self.plan.candidate.contract is not None:
            return Golden(tolerance=0.0, cases=())  # a model from elsewhere has none
        try:
            return parse_golden(self._server.text(GOLDEN_SIGNATURE, timeout_seconds=self._call_seconds()))
        except MissingSignatureError:
            self.verdict.note("The model has no golden pictures.")
            return Golden(tolerance=0.0, cases=())
        except (ModelServerError, ContractError) as error:
            raise _rejection_or_loss(error) from None

    def _prepare_case(self, case: Case, contract: Contract) -> Pixels:
        try:
            return images.prepare(self._read_picture(case), contract.input, self._limits)
        except (images.PictureError, FetchError, OSError, ValueError) as error:
            raise NotCarriedOutError(
                f"The acceptance picture '{case.name}' cannot be used: {error}"
            ) from None

    @property
    def _limits(self) -> images.Limits:
        return images.Limits(max_bytes=self.settings.max_image_bytes)

    def _read_picture(self, case: Case) -> bytes:
        if case.source == "base64":
            return base64.b64decode(case.picture, validate=True)
        if case.source == "file":
            path = Path(case.picture)
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise ValueError(
                    f"there is no key {path.name} in a ConfigMap {path.parent.name}; "
                    "create it, or correct spec.rollout.acceptance"
                ) from None
        fetcher = Fetcher(
            max_bytes=self.settings.max_image_bytes,
            allowed_hosts=self.settings.url_allowed_hosts,
            allow_private_networks=self.settings.url_allow_private_networks,
        )
        return fetcher.fetch(case.picture, Deadline.after(self._call_seconds()))

    def _check_cases(self, cases: Sequence[tuple[Case, Pixels]], contract: Contract) -> None:
        for case, pixels in cases:
            decision = contract.decide(self._predict([pixels], contract)[0])
            expected = decision.probabilities.get(case.label, 0.0)
            self.verdict.cases.append(
                CaseResult(
                    name=case.name,
                    expected=case.label,
                    label=decision.label,
                    probability=decision.probability,
                    passed=decision.label == case.label and expected >= case.min_probability,
                )
            )
        least = self.plan.min_pass_percent
        passed = sum(result.passed for result in self.verdict.cases)
        if cases and passed * 100 < least * len(cases):
            worst = next(result for result in self.verdict.cases if not result.passed)
            raise RejectedError(
                "AcceptanceFailed",
                f"{passed} of {len(cases)} acceptance pictures passed, {least:g} % must; the first that "
                f"failed is {worst.sentence()}.",
            )

    def _measure_latency(self, contract: Contract) -> None:
        """Make the calls that are missing for a latency, and at least one call."""
        grey = np.full((contract.input.height, contract.input.width, 3), 128, dtype=np.uint8)
        for done in range(len(self._latencies_seconds), _LATENCY_CALLS):
            if done and self._deadline.remaining_seconds() < 1:
                break
            self._predict([grey], contract)

    def _predict(self, pixels: Sequence[Pixels], contract: Contract) -> Any:
        began = time.monotonic()
        try:
            answer = predict_pixels(self._server, contract, pixels, self._call_seconds(), retry=True)
        except ModelServerError as error:
            raise _rejection_or_loss(error) from None
        self._latencies_seconds.append(time.monotonic() - began)
        return answer

    def _call_seconds(self) -> float:
        remaining = self._deadline.remaining_seconds()
        if remaining <= 0:
            raise NotCarriedOutError(f"The deadline of {self.plan.deadline_seconds:g} s passed.")
        return min(remaining, _CALL_SECONDS)


def _rejection_or_loss(error: Exception) -> Exception:
    """A candidate that cannot be reached any more gives no verdict; one that answers wrongly is rejected."""
    if isinstance(error, ModelUnavailableError | ModelTimeoutError):
        return NotCarriedOutError(f"The candidate was lost during the verification: {error}")
    return RejectedError("ContractInvalid", str(error))


def _server(plan: Plan, target: Target) -> ModelServer:
    return ModelServer(target.address, plan.model, target.version)


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") + "]"


def verify(document: Any, settings: Settings) -> Verdict:
    """Carries out a plan, given as parsed JSON."""
    try:
        plan = parse_plan(document)
    except PlanError as error:
        verdict = Verdict()
        verdict.give_up(f"The plan cannot be used: {error}")
        return verdict
    return Verification(plan, settings).run()
