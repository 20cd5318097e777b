"""Resolves `preprocess` and `rescaling` of `spec.input` to one exact scale and offset for each channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from imageclassifier_operator.api.errors import InvalidSpec
from imageclassifier_operator.api.numbers import fraction


@dataclass(frozen=True)
class Rescaling:
    """value = (pixel * scale + offset - mean) / std, with a mean and a std for all channels or for each."""

    scale: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    mean: Sequence[Fraction] = (Fraction(0),)
    std: Sequence[Fraction] = (Fraction(1),)

    def factors(self) -> dict[str, Any]:
        """The contract's `scale` and `offset`: numbers, or lists if the channels differ."""
        count = max(len(self.mean), len(self.std))
        mean, std = (each if len(each) == count else [each[0]] * count for each in (self.mean, self.std))
        return {
            "scale": _numbers([self.scale / divisor for divisor in std]),
            "offset": _numbers([(self.offset - m) / divisor for m, divisor in zip(mean, std, strict=True)]),
        }


def _exactly(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


#: The modes of keras.applications.imagenet_utils.preprocess_input. `caffe` has the order BGR.
PREPROCESS: Mapping[str, Rescaling] = {
    "none": Rescaling(),
    "tf": Rescaling(scale=1 / Fraction("127.5"), offset=Fraction(-1)),
    "torch": Rescaling(
        scale=Fraction(1, 255),
        mean=_exactly("0.485", "0.456", "0.406"),
        std=_exactly("0.229", "0.224", "0.225"),
    ),
    "caffe": Rescaling(mean=_exactly("103.939", "116.779", "123.68")),
}
_CAFFE_CHANNELS = "bgr"


def pixel_values(model_input: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's `scale`, `offset` and, if `preprocess` decides them, `channels`. Raises InvalidSpec."""
    preprocess, rescaling = model_input.get("preprocess"), model_input.get("rescaling")
    if preprocess is not None and rescaling is not None:
        raise InvalidSpec("spec.input.preprocess and spec.input.rescaling exclude each other. Remove one.")
    if preprocess is None:
        return {} if rescaling is None else _parse(rescaling).factors()
    factors = PREPROCESS[preprocess].factors()
    channels = model_input.get("channels")
    if preprocess == "caffe":
        if channels not in (None, _CAFFE_CHANNELS):
            raise InvalidSpec(
                "spec.input.preprocess is caffe, which means the order bgr, but spec.input.channels is "
                f"{channels}. Remove spec.input.channels."
            )
        factors["channels"] = _CAFFE_CHANNELS
    if channels == "gray" and preprocess == "torch":
        raise InvalidSpec(
            "spec.input.preprocess is torch, which is for three channels, but spec.input.channels is gray. "
            "Use spec.input.rescaling with one mean and one std."
        )
    return factors


def _parse(rescaling: Mapping[str, Any]) -> Rescaling:
    def one(name: str) -> Fraction:
        return fraction(rescaling[name], f"spec.input.rescaling.{name}")

    def several(name: str) -> tuple[Fraction, ...]:
        where = f"spec.input.rescaling.{name}"
        values = tuple(fraction(each, f"{where}[{i}]") for i, each in enumerate(rescaling[name]))
        if len(values) not in (1, 3):
            raise InvalidSpec(
                f"{where} has {len(values)} values. Give one, or one for each of three channels."
            )
        return values

    taken: dict[str, Any] = {
        name: one(name) for name in ("scale", "offset") if rescaling.get(name) is not None
    }
    taken |= {name: several(name) for name in ("mean", "std") if rescaling.get(name) is not None}
    if any(each == 0 for each in taken.get("std", ())):
        raise InvalidSpec("spec.input.rescaling.std contains 0, and values cannot be divided by it.")
    return Rescaling(**taken)


def _numbers(values: Sequence[Fraction]) -> int | float | list[int | float]:
    numbers: list[int | float] = [int(each) if each.denominator == 1 else float(each) for each in values]
    return numbers[0] if len(set(numbers)) == 1 else numbers
