"""`spec.rollout`: how a new version gets the traffic, and when it is rolled back."""

from dataclasses import dataclass, field
from typing import Literal, Self

from imageclassifier_operator.api.dataset import Dataset
from imageclassifier_operator.api.json import Json
from imageclassifier_operator.api.numbers import share

WAIT: Literal["Wait"] = "Wait"
CONTINUE: Literal["Continue"] = "Continue"


@dataclass(frozen=True)
class Step:
    """One step: `percent` of the requests for at least `duration_seconds`."""

    percent: int
    duration_seconds: int = 60

    @classmethod
    def parse(cls, step: Json) -> Self:
        """Read one step."""
        return cls(step["percent"], step.get("durationSeconds", cls.duration_seconds))


@dataclass(frozen=True)
class Sticky:
    """The header or cookie whose value keeps a client on one version."""

    kind: Literal["header", "cookie"]
    name: str

    @classmethod
    def parse(cls, sticky: Json) -> Self:
        """Read `spec.rollout.sticky`."""
        if "header" in sticky:
            return cls("header", sticky["header"])
        return cls("cookie", sticky["cookie"])


@dataclass(frozen=True)
class Shadow:
    """The candidate gets copies of `percent` of the requests. Its answers are only compared."""

    percent: int
    min_agreement_rate: float | None = None
    min_compared: int = 100

    @classmethod
    def parse(cls, shadow: Json) -> Self:
        """Read `spec.rollout.shadow`."""
        rate = shadow.get("minAgreementRate")
        return cls(
            percent=shadow["percent"],
            min_agreement_rate=None if rate is None else share(rate, "spec.rollout.shadow.minAgreementRate"),
            min_compared=shadow.get("minCompared", cls.min_compared),
        )


@dataclass(frozen=True)
class Limits:
    """The limits of a candidate in an analysis window.

    `error_rate_increase`: how much higher than the serving version's its share of failed requests may be,
    from 0 to 1.
    `p99_milliseconds`: its highest 99th percentile; None if latency is not analysed.
    """

    error_rate_increase: float = 0.01
    p99_milliseconds: int | None = None

    @classmethod
    def parse(cls, limits: Json) -> Self:
        """Read `spec.rollout.limits`."""
        increase = limits.get("errorRateIncrease")
        return cls(
            error_rate_increase=cls.error_rate_increase
            if increase is None
            else share(increase, "spec.rollout.limits.errorRateIncrease"),
            p99_milliseconds=limits.get("p99Milliseconds"),
        )


@dataclass(frozen=True)
class ConfigMapKey:
    """A key of a ConfigMap."""

    name: str
    key: str


@dataclass(frozen=True)
class AcceptanceCase:
    """A picture and its expected label. Exactly one of `base64`, `config_map_key` and `url` is not None."""

    name: str
    label: str
    min_probability_percent: int | None = None
    base64: str | None = None
    config_map_key: ConfigMapKey | None = None
    url: str | None = None

    @classmethod
    def parse(cls, case: Json) -> Self:
        """Read one acceptance case."""
        picture = case["picture"]
        reference = picture.get("configMapKeyRef")
        return cls(
            name=case["name"],
            label=case["label"],
            min_probability_percent=case.get("minProbabilityPercent"),
            base64=picture.get("base64"),
            config_map_key=None if reference is None else ConfigMapKey(reference["name"], reference["key"]),
            url=picture.get("url"),
        )


@dataclass(frozen=True)
class Acceptance:
    """`spec.rollout.acceptance`: the pictures, how many must pass, and a data set to compare versions on."""

    cases: tuple[AcceptanceCase, ...] = ()
    min_pass_percent: int = 100
    dataset: Dataset | None = None

    @classmethod
    def parse(cls, acceptance: Json) -> Self:
        """Read `spec.rollout.acceptance`."""
        dataset = acceptance.get("dataset")
        return cls(
            tuple(AcceptanceCase.parse(case) for case in acceptance.get("cases") or ()),
            acceptance.get("minPassPercent", cls.min_pass_percent),
            None if dataset is None else Dataset.parse(dataset),
        )


@dataclass(frozen=True)
class RolloutSettings:
    """`spec.rollout`. Without `steps` all traffic moves at once."""

    progress_deadline_seconds: int = 600
    keep_previous_seconds: int = 300
    paused: bool = False
    promote_token: str = ""
    """A new value promotes once, as the annotation does."""
    retry_token: str = ""
    """A new value retries a version that failed, as the annotation does."""
    allow_class_change: bool = False
    acceptance: Acceptance = field(default_factory=Acceptance)
    steps: tuple[Step, ...] = ()
    min_requests: int = 50
    on_inconclusive: Literal["Wait", "Continue"] = WAIT
    """What happens when a step's time is over and its analysis is inconclusive."""
    sticky: Sticky | None = None
    shadow: Shadow | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def parse(cls, rollout: Json) -> Self:
        """Read `spec.rollout`."""
        sticky, shadow = rollout.get("sticky"), rollout.get("shadow")
        return cls(
            progress_deadline_seconds=rollout.get("progressDeadlineSeconds", cls.progress_deadline_seconds),
            keep_previous_seconds=rollout.get("keepPreviousSeconds", cls.keep_previous_seconds),
            paused=bool(rollout.get("paused", cls.paused)),
            promote_token=rollout.get("promoteToken", cls.promote_token),
            retry_token=rollout.get("retryToken", cls.retry_token),
            allow_class_change=bool(rollout.get("allowClassChange", cls.allow_class_change)),
            acceptance=Acceptance.parse(rollout.get("acceptance") or {}),
            steps=tuple(Step.parse(step) for step in rollout.get("steps") or ()),
            min_requests=rollout.get("minRequests", cls.min_requests),
            on_inconclusive=rollout.get("onInconclusive", cls.on_inconclusive),
            sticky=None if sticky is None else Sticky.parse(sticky),
            shadow=None if shadow is None else Shadow.parse(shadow),
            limits=Limits.parse(rollout.get("limits") or {}),
        )

    @property
    def verification_deadline_seconds(self) -> int:
        """How long the verification may take, and a version that passed may wait for its traffic."""
        dataset = self.acceptance.dataset
        return self.progress_deadline_seconds + (0 if dataset is None else dataset.timeout_seconds)
