"""`spec.rollout`: how one version takes over from another, and when it is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """`percent` of the requests for at least `duration_seconds`."""

    percent: int
    duration_seconds: int = 60

    @classmethod
    def parse(cls, step: Json) -> Self:
        return cls(step["percent"], step.get("durationSeconds", cls.duration_seconds))


@dataclass(frozen=True)
class Sticky:
    """What keeps one caller on one version: the value of a header or of a cookie."""

    kind: Literal["header", "cookie"]
    name: str

    @classmethod
    def parse(cls, sticky: Json) -> Self:
        if "header" in sticky:
            return cls("header", sticky["header"])
        return cls("cookie", sticky["cookie"])


@dataclass(frozen=True)
class Shadow:
    """`percent` of the requests also go to the candidate, whose answers are only compared."""

    percent: int
    min_agreement: float | None = None
    min_compared: int = 100

    @classmethod
    def parse(cls, shadow: Json) -> Self:
        return cls(shadow["percent"], shadow.get("minAgreement"), shadow.get("minCompared", cls.min_compared))


@dataclass(frozen=True)
class Limits:
    """What a candidate may cost more than the serving version in the same window.

    `error_rate`: share of requests, 0 .. 1. `p99_milliseconds`: absolute, None where latency is not judged.
    """

    error_rate: float = 0.01
    p99_milliseconds: int | None = None

    @classmethod
    def parse(cls, limits: Json) -> Self:
        return cls(limits.get("errorRate", cls.error_rate), limits.get("p99Milliseconds"))


@dataclass(frozen=True)
class ConfigMapKey:
    name: str
    key: str


@dataclass(frozen=True)
class AcceptanceCase:
    """A picture and the answer that a version must give; exactly one of the three places is not None."""

    name: str
    label: str
    min_probability: float | None = None
    base64: str | None = None
    config_map_key: ConfigMapKey | None = None
    url: str | None = None

    @classmethod
    def parse(cls, case: Json) -> Self:
        picture = case["picture"]
        reference = picture.get("configMapKeyRef")
        return cls(
            name=case["name"],
            label=case["label"],
            min_probability=case.get("minProbability"),
            base64=picture.get("base64"),
            config_map_key=None if reference is None else ConfigMapKey(reference["name"], reference["key"]),
            url=picture.get("url"),
        )


@dataclass(frozen=True)
class Acceptance:
    cases: tuple[AcceptanceCase, ...] = ()
    min_pass_percent: int = 100

    @classmethod
    def parse(cls, acceptance: Json) -> Self:
        return cls(
            tuple(AcceptanceCase.parse(case) for case in acceptance.get("cases") or ()),
            acceptance.get("minPassPercent", cls.min_pass_percent),
        )


@dataclass(frozen=True)
class RolloutSettings:
    """No `steps`: all traffic moves at once."""

    progress_deadline_seconds: int = 600
    keep_previous_seconds: int = 300
    pause: bool = False
    allow_class_change: bool = False
    acceptance: Acceptance = field(default_factory=Acceptance)
    steps: tuple[Step, ...] = ()
    min_requests: int = 50
    sticky: Sticky | None = None
    shadow: Shadow | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def parse(cls, rollout: Json) -> Self:
        sticky, shadow = rollout.get("sticky"), rollout.get("shadow")
        return cls(
            progress_deadline_seconds=rollout.get("progressDeadlineSeconds", cls.progress_deadline_seconds),
            keep_previous_seconds=rollout.get("keepPreviousSeconds", cls.keep_previous_seconds),
            pause=bool(rollout.get("pause", cls.pause)),
            allow_class_change=bool(rollout.get("allowClassChange", cls.allow_class_change)),
            acceptance=Acceptance.parse(rollout.get("acceptance") or {}),
            steps=tuple(Step.parse(step) for step in rollout.get("steps") or ()),
            min_requests=rollout.get("minRequests", cls.min_requests),
            sticky=None if sticky is None else Sticky.parse(sticky),
            shadow=None if shadow is None else Shadow.parse(shadow),
            limits=Limits.parse(rollout.get("limits") or {}),
        )
