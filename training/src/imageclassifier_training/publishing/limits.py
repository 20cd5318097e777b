"""The limits of a model, for its model card: on what it was not tried, and where its figures are weak."""

from __future__ import annotations

from ..networks.learned import Training
from .figures import Figures

#: With fewer images, the 95 % interval of a share is wider than 30 points.
_FEW = 30
#: Classes count as equally frequent if the largest has at most this many times the images of the smallest.
_BALANCED = 1.1
_NAMED = 5


def of(training: Training, figures: Figures) -> list[str]:
    """The limits as sentences."""
    return [
        *_measurement(figures),
        *_small_classes(training.record["pictures"]),
        _other_images(training),
        *_probabilities(training),
        *_pixels(training),
        "Images that were made to mislead it, and differences between groups of people, were not examined.",
    ]


def _measurement(figures: Figures) -> list[str]:
    if not figures.measured:
        return [
            "It was not cross-validated, and not measured on other images: how often it is right is unknown."
        ]
    sentences = [
        "Its figures are about images that were collected like its training images. Images from elsewhere "
        "(other cameras, light, backgrounds, drawings, screens) were not tried. The intervals say only "
        "how much the figures would vary with other images of this kind."
    ]
    if not figures.classes:
        sentences.append(
            "The training kept no out-of-fold predictions, so the quality of each class is unknown."
        )
    return sentences


def _other_images(training: Training) -> str:
    if training.familiarity is None:
        return (
            "Every image gets one of the classes. Images that show none of them, or several, were not tried."
        )
    return (
        "Every image that is not found unfamiliar gets one of the classes. Photographs that show none of "
        "them, or several, were not tried."
    )


def _small_classes(counts: dict[str, int]) -> list[str]:
    few = [name for name, count in counts.items() if count < _FEW]
    if not few:
        return []
    names = ", ".join(few[:_NAMED]) + (f" and {len(few) - _NAMED} more" if len(few) > _NAMED else "")
    return [f"Classes with fewer than {_FEW} training images: {names}. Their figures are very uncertain."]


def _probabilities(training: Training) -> list[str]:
    counts = list(training.record["pictures"].values())
    share = "equal" if max(counts) <= _BALANCED * max(1, min(counts)) else "unequal"
    return [
        f"Its probabilities fit the class frequencies of the training images, which are {share}. For a class "
        "that is rarer where the model serves, they are too high."
    ]


def _pixels(training: Training) -> list[str]:
    wanted = training.architecture.input
    return [
        f"It classifies the whole image at {wanted.width} x {wanted.height} pixels. An object in a corner, "
        "or one that is only a few pixels large at this size, can be missed.",
        *(["Colour profiles are ignored."] if wanted.decode.profile == "ignore" else []),
        "Only the first frame of an animation is used.",
    ]
