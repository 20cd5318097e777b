"""The search space: which settings a search may try, and in which order it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any, Protocol

from imageclassifier_gateway.contract import FOR_NEW_MODELS

from ..networks.architecture import Architecture, Branch

#: Values are names of parameters of a trial, as the journal and TensorBoard show them.
BACKBONE, FIT, VIEWS, WEIGHTS, BLOCKS, RATE = (
    "backbone",
    "fit",
    "views",
    "class_weights",
    "fine_tuned_blocks",
    "learning_rate",
)
HEAD_ONLY = "none"
DEFAULT_BACKBONES = (
    "efficientnet_lite0@224",
    "efficientnet_lite1@240",
    "efficientnet_lite2@260",
    "efficientnet_lite1@300",
    "efficientnet_lite2@300",
)
#: Class weights change little if no class has more than this many times the images of another.
_BALANCED = 1.1


class Suggests(Protocol):
    """A trial of Optuna, as far as the space uses it."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Choose one of the values."""


@dataclass(frozen=True)
class Setting:
    """One way to train. `backbone` joins several by `+`; `blocks` is a number, `all` or `none`."""

    backbone: str
    fit: str
    views: int
    class_weights: bool
    blocks: str = HEAD_ONLY
    learning_rate: float = 0.0

    @property
    def architecture(self) -> Architecture:
        """The network of this setting."""
        branches = tuple(Branch.parse(each) for each in self.backbone.split("+"))
        return Architecture(branches, fit=self.fit, decode=FOR_NEW_MODELS)

    @property
    def head_only(self) -> Setting:
        """The same setting without fine-tuning: both have the same features."""
        return Setting(self.backbone, self.fit, self.views, self.class_weights)

    @property
    def name(self) -> str:
        """The name of its folder."""
        words = [self.backbone, self.fit, f"{self.views}-views"]
        words += [] if self.class_weights else ["unweighted"]
        if self.blocks != HEAD_ONLY:
            words.append(f"tune-{self.blocks}-rate-{self.learning_rate:g}")
        return "-".join(words)

    def parameters(self) -> dict[str, Any]:
        """The parameters of a trial with this setting."""
        found: dict[str, Any] = {
            BACKBONE: self.backbone,
            FIT: self.fit,
            VIEWS: self.views,
            WEIGHTS: self.class_weights,
        }
        if "+" not in self.backbone:
            found[BLOCKS] = self.blocks
            if self.blocks != HEAD_ONLY:
                found[RATE] = self.learning_rate
        return found


@dataclass(frozen=True)
class Space:
    """The values that each part of a setting may have."""

    backbones: tuple[str, ...] = DEFAULT_BACKBONES
    fits: tuple[str, ...] = ("squash", "crop")
    views: tuple[int, ...] = (2, 1, 4)
    class_weights: tuple[bool, ...] = (True, False)
    blocks: tuple[str, ...] = (HEAD_ONLY, "1", "2", "4")
    learning_rates: tuple[float, ...] = (1e-5, 3e-5, 1e-4)

    def suggest(self, trial: Suggests) -> Setting:
        """Let a trial choose a setting."""
        backbone = trial.suggest_categorical(BACKBONE, self.backbones)
        fit = trial.suggest_categorical(FIT, self.fits)
        views = trial.suggest_categorical(VIEWS, self.views)
        weights = trial.suggest_categorical(WEIGHTS, self.class_weights)
        # Only a single backbone can be fine-tuned.
        blocks = trial.suggest_categorical(BLOCKS, self.blocks) if "+" not in backbone else HEAD_ONLY
        rate = trial.suggest_categorical(RATE, self.learning_rates) if blocks != HEAD_ONLY else 0.0
        return Setting(backbone, fit, views, weights, blocks, rate)

    def settings(self) -> Iterator[Setting]:
        """All settings."""
        for backbone, fit, views, weights in product(
            self.backbones, self.fits, self.views, self.class_weights
        ):
            for blocks in self.blocks if "+" not in backbone else (HEAD_ONLY,):
                for rate in self.learning_rates if blocks != HEAD_ONLY else (0.0,):
                    yield Setting(backbone, fit, views, weights, blocks, rate)

    def first(self) -> list[Setting]:
        """What a search tries first: each backbone in its plainest setting, the smallest input first."""
        plain: dict[str, Setting] = {}
        for setting in self.settings():
            plain.setdefault(setting.backbone, setting)
        return sorted(plain.values(), key=lambda each: _pixels(each.architecture))

    def to_dict(self) -> dict[str, Any]:
        """The space as JSON values."""
        return {name: list(values) for name, values in asdict(self).items()}


@dataclass(frozen=True)
class Plan:
    """What a search does: its space, the folds of every trial, the seed, and the figure that it lowers.

    Fine-tuning lasts `epochs` epochs at most.
    """

    space: Space
    folds: int = 5
    seed: int = 0
    metric: str = "log_loss"
    epochs: int = field(default=4)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {**asdict(self), "space": self.space.to_dict()}


def class_weights(counts: Mapping[str, int]) -> tuple[bool, ...]:
    """Whether to try class weights, or both ways, for classes with these numbers of images."""
    return (True, False) if max(counts.values()) > _BALANCED * min(counts.values()) else (True,)


def _pixels(architecture: Architecture) -> int:
    return sum(branch.height * branch.width for branch in architecture.branches)
