"""The checks of a candidate before any request reaches it: contract, classes, golden and acceptance pictures.

They use the same preprocessing, the same client and the same decision as requests. docs/architecture.md
describes the plan and the verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import Settings
from ..contract import (
    GOLDEN_SIGNATURE,
    Contract,
    ContractError,
    Golden,
    parse_golden,
    pixels_digest,
)
from ..limits.deadline import Deadline
from ..limits.decoding import Pixels
from ..pixels import images
from ..tracing import NO_SPAN, Span
from ..versions.batches import CallOptions, Scores, predict, predict_pixels
from ..versions.contracts import read_contract
from ..versions.model_server_errors import (
    MissingSignatureError,
    ModelServerError,
    ModelTimeoutError,
    ModelUnavailableError,
)
from . import samples
from .acceptance import AcceptancePictures
from .calls import CALL_SECONDS, PATIENCE_SECONDS, RETRY_SECONDS, VersionCalls
from .dataset import check_labels, find_pictures
from .dataset_comparison import WORSE, Comparison
from .evaluation import Evaluation
from .outcome import NotCarriedOutError, RejectedError
from .plan import Case, Dataset, Plan, PlanError, parse_plan
from .progress import Progress
from .servers import model_server, serving_contract
from .verification_verdict import CaseResult, DatasetResult, Verdict

#: The number of calls, of one picture each, for the latency. The deadline may allow fewer.
_LATENCY_CALLS = 20
#: CPUs and their kernels differ in the last bits of a sum. The tolerance is far above that.
_EXPLANATION_TOLERANCE = 1e-3
#: In place of the label of a prediction without one.
UNSURE = "(unsure)"
UNFAMILIAR = "(unlike the training pictures)"


@dataclass
class Verification:
    """One run of a plan, and its verdict so far."""

    plan: Plan
    settings: Settings
    progress: Progress = field(default_factory=Progress)
    verdict: Verdict = field(default_factory=Verdict)
    span: Span = NO_SPAN
    _latencies_seconds: list[float] = field(default_factory=list)

    def run(self) -> Verdict:
        """Run all checks, and return the verdict. Failures of the candidate raise no exception."""
        assumptions: tuple[str, ...] = ()
        try:
            self._deadline = Deadline.after(self.plan.deadline_seconds)
            self._server = model_server(self.plan, self.plan.candidate)
            with self.span.child("contract"):
                contract = self._wait_for_contract()
                assumptions = contract.notes
                self.verdict.warnings += assumptions
                serving = self._serving_contract()
                self._check_classes(contract, serving)
            with self.span.child("fetch"):
                pictures = AcceptancePictures(self.settings)
                cases = [
                    (case, pictures.prepare(case, contract.input, self._call_seconds()))
                    for case in self.plan.cases
                ]
            with self.span.child("golden pictures"):
                self._check_golden(contract)
            with self.span.child("explanation"):
                self._check_explanation(contract)
            if self.plan.candidate.contract is not None:
                with self.span.child("sample pictures"):
                    self._check_samples(contract)
            with self.span.child("acceptance pictures"):
                self._check_cases(cases, contract)
            if self.plan.dataset is not None:
                with self.span.child("data set"):
                    self._check_dataset(self.plan.dataset, contract, serving)
            with self.span.child("latency"):
                self._measure_latency(contract)
        except RejectedError as error:
            self.verdict.fail(error.reason, str(error))
            if error.reason == "ContractInvalid":  # an assumption may be the cause
                self.verdict.notes += assumptions
        except NotCarriedOutError as error:
            self.verdict.give_up(str(error))
        self.verdict.record_latency(self._latencies_seconds)
        return self.verdict

    def _wait_for_contract(self) -> Contract:
        """The contract of the candidate. Retries until the deadline while the candidate is unavailable."""
        while True:
            try:
                contract = read_contract(
                    self._server,
                    self.plan.candidate.contract,
                    default_name=self.plan.model,
                    timeout_seconds=self._call_seconds(),
                )
            except (ModelUnavailableError, ModelTimeoutError) as error:
                if self._deadline.remaining_seconds() <= RETRY_SECONDS:
                    raise NotCarriedOutError(f"The candidate could not be reached in time: {error}") from None
                time.sleep(RETRY_SECONDS)
            except (ModelServerError, ContractError) as error:
                raise RejectedError(
                    "ContractInvalid", f"The candidate's contract cannot be used: {error}"
                ) from None
            else:
                return self._with_rules_of_spec(contract)

    def _with_rules_of_spec(self, contract: Contract) -> Contract:
        """The contract with the rules of the spec for predictions without a label."""
        rules = self.plan.candidate
        withholds = rules.unfamiliar is not None and not rules.unfamiliar.is_ignored
        if withholds and contract.familiarity is None:
            raise RejectedError(
                "ContractInvalid",
                "spec.unfamiliar needs a model that says how far a picture is from its training pictures, "
                "and the candidate does not. Export it with imageclassifier-training of this release after a "
                "training with cross-validation, or set spec.unfamiliar.policy to Label.",
            )
        return contract.with_unsure(rules.unsure).with_unfamiliar(rules.unfamiliar)

    def _serving_contract(self) -> Contract | None:
        if self.plan.allow_class_change and self.plan.dataset is None:
            return None  # there is nothing to compare with
        # With a data set, wait until the serving version's only pod may have started on another node.
        patience = Deadline.after(0 if self.plan.dataset is None else PATIENCE_SECONDS)
        try:
            return serving_contract(self.plan, patience)
        except (ModelServerError, ContractError) as error:
            # A broken serving version must not block the version that fixes it.
            self.verdict.note(f"The candidate could not be compared with the serving version: {error}")
            return None

    def _check_classes(self, contract: Contract, before: Contract | None) -> None:
        if before is None or self.plan.allow_class_change:
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
        changed: list[str] = []
        for index, case in enumerate(golden.cases):
            try:
                pixels = images.prepare(case.picture, contract.input)
            except images.PictureError as error:
                raise RejectedError(
                    "ContractInvalid", f"Golden picture {index} cannot be used: {error}"
                ) from None
            if case.pixels not in ("", pixels_digest(pixels)):
                changed.append(str(index))
            got = self._predict([pixels], contract).probabilities[0]
            if len(case.probabilities) != len(got):
                raise RejectedError(
                    "ContractInvalid", f"Golden picture {index} does not have one probability per class."
                )
            worst = max(worst, float(np.abs(got - np.array(case.probabilities)).max()))
        if changed:
            self.verdict.warnings.append(
                f"Golden pictures {', '.join(changed)} have other pixels than at training: the gateway and "
                "the training prepare pictures with different releases or libraries. Export the model with "
                "the release that serves it."
            )
        self.verdict.golden = {"cases": len(golden.cases), "worst_difference": round(worst, 6)}
        if worst > golden.tolerance:
            raise RejectedError(
                "GoldenFailed",
                f"A golden picture's probability differs by {worst:.4f} from the one recorded at training; "
                f"at most {golden.tolerance:g} is allowed. The model was changed after its export.",
            )

    def _check_explanation(self, contract: Contract) -> None:
        """Check that the maps of a picture add up to its prediction, if the model has any."""
        if contract.explanation is None:
            return
        wanted = contract.input
        noise = np.random.default_rng(0).integers(0, 256, (wanted.height, wanted.width, 3), dtype=np.uint8)
        scores = self._call(
            lambda options: predict_pixels(self._server, contract, [noise], options, contract.explanation)
        )
        assert scores.maps is not None
        logits = scores.maps[0].astype(np.float64).mean(axis=(0, 1))
        exponents = np.exp(logits - logits.max())
        difference = float(np.abs(exponents / exponents.sum() - scores.probabilities[0]).max())
        if difference > _EXPLANATION_TOLERANCE:
            raise RejectedError(
                "ContractInvalid",
                f"The maps of the signature '{contract.explanation.signature}' do not add up to the "
                f"prediction: a probability differs by {difference:.4f}, and at most "
                f"{_EXPLANATION_TOLERANCE:g} is allowed. Export the model again.",
            )

    def _check_samples(self, contract: Contract) -> None:
        """Send different pictures one by one, once more, and all at once."""
        pictures = samples.sample_pictures(contract.input)
        rows = self._rows(pictures, contract)
        samples.check_sums(rows, contract)
        again = self._rows(pictures, contract)
        samples.check_same(rows, again, "from call to call")
        together = self._call(
            lambda options: predict(self._server, contract, list(pictures.values()), options)
        )
        samples.check_same(
            rows, dict(zip(pictures, together.probabilities, strict=True)), "beside other pictures"
        )
        if (warning := samples.spread_warning(rows)) is not None:
            self.verdict.warnings.append(warning)

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

    def _check_cases(self, cases: Sequence[tuple[Case, Pixels]], contract: Contract) -> None:
        for case, pixels in cases:
            decision = self._predict([pixels], contract).decisions(contract)[0]
            expected = decision.probabilities.get(case.label, 0.0)
            self.verdict.cases.append(
                CaseResult(
                    name=case.name,
                    expected=case.label,
                    label=decision.shown_label or (UNFAMILIAR if decision.is_unfamiliar else UNSURE),
                    probability=decision.probability,
                    passed=decision.shown_label == case.label and expected >= case.min_probability,
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

    def _check_dataset(self, dataset: Dataset, contract: Contract, before: Contract | None) -> None:
        """Compare both versions on the labelled pictures."""
        pictures, serving = find_pictures(dataset), self.plan.serving
        check_labels(pictures, contract.class_names, () if before is None else before.class_names)
        evaluation = Evaluation(
            pictures=pictures,
            candidate=VersionCalls(self._server, contract, self._deadline),
            serving=None
            if serving is None or before is None
            else VersionCalls(model_server(self.plan, serving), before, self._deadline),
            comparison=Comparison(
                self.plan.candidate.version, None if serving is None else serving.version, dataset.rules
            ),
            limits=AcceptancePictures(self.settings).limits,
            max_unreadable_percent=dataset.max_unreadable_percent,
            progress=self.progress,
        )
        evaluation.run()
        conclusion = evaluation.comparison.conclusion()
        result = DatasetResult(
            evaluation.comparison,
            conclusion,
            total=len(pictures),
            unreadable=self.progress.unreadable,
            notes=tuple(evaluation.notes),
        )
        self.verdict.dataset = result
        if not conclusion.passed:
            reason = WORSE if conclusion.result == WORSE else "AcceptanceFailed"
            raise RejectedError(reason, result.message)

    def _measure_latency(self, contract: Contract) -> None:
        """Make at least one call, and more until there are enough for the latency."""
        grey = np.full((contract.input.height, contract.input.width, 3), 128, dtype=np.uint8)
        for done in range(len(self._latencies_seconds), _LATENCY_CALLS):
            if done and self._deadline.remaining_seconds() < 1:
                break
            self._predict([grey], contract)

    def _rows(self, pictures: Mapping[str, Pixels], contract: Contract) -> dict[str, NDArray[np.float64]]:
        """The probabilities of each picture, from a call of its own."""
        return {name: self._predict([pixels], contract).probabilities[0] for name, pixels in pictures.items()}

    def _predict(self, pixels: Sequence[Pixels], contract: Contract) -> Scores:
        began = time.monotonic()
        scores = self._call(lambda options: predict_pixels(self._server, contract, pixels, options))
        self._latencies_seconds.append(time.monotonic() - began)
        return scores

    def _call(self, make: Callable[[CallOptions], Scores]) -> Scores:
        """Make a call to the candidate, as a part of the trace. A failure ends the verification."""
        metadata = self.span.metadata(())
        try:
            return make(CallOptions(self._call_seconds(), retry_on_another_pod=True, metadata=metadata))
        except ModelServerError as error:
            raise _rejection_or_loss(error) from None

    def _call_seconds(self) -> float:
        remaining = self._deadline.remaining_seconds()
        if remaining <= 0:
            raise NotCarriedOutError(f"The deadline of {self.plan.deadline_seconds:g} s passed.")
        return min(remaining, CALL_SECONDS)


def _rejection_or_loss(error: Exception) -> Exception:
    """No verdict if the candidate is unavailable; a rejection for every other error."""
    if isinstance(error, ModelUnavailableError | ModelTimeoutError):
        return NotCarriedOutError(f"The candidate was lost during the verification: {error}")
    return RejectedError("ContractInvalid", str(error))


def _list(names: Sequence[str]) -> str:
    return "[" + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") + "]"


def verify(
    document: Any, settings: Settings, progress: Progress | None = None, span: Span = NO_SPAN
) -> Verdict:
    """Run a plan, given as parsed JSON, and keep `progress` up to date. `span`: that of the whole run."""
    try:
        plan = parse_plan(document)
    except PlanError as error:
        verdict = Verdict()
        verdict.give_up(f"The plan cannot be used: {error}")
        return verdict
    span.set(
        imageclassifier__model=plan.model,
        imageclassifier__version=plan.candidate.version,
    )
    verdict = Verification(plan, settings, progress or Progress(), span=span).run()
    if verdict.exit_code:
        span.fail(verdict.reason or "VerificationFailed")
    return verdict
