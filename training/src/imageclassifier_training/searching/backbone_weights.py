"""Provides the weights of all backbones of a search, before its first trial."""

from __future__ import annotations

from pathlib import Path

from ..errors import WeightsUnavailable
from ..networks import pretrained, random_weights, weights_folder
from ..networks.backbones import BACKBONES
from .space import Plan


def provide(plan: Plan, out: Path, folder: Path | None = None, *, random: bool = False) -> dict[str, Path]:
    """The weights files by backbone name; backbones without a file download theirs now.

    `folder` has weights files. With `random`, random weights are written below `out`. Raises one
    WeightsUnavailable for all backbones whose weights cannot be downloaded.
    """
    names = {
        branch.backbone
        for setting in plan.space.first()
        for branch in setting.architecture.branches
        if BACKBONES[branch.backbone].downloads
    }
    needed = sorted(names)
    if folder is not None:
        return weights_folder.find(folder, needed)
    if random:
        return random_weights.write(out / weights_folder.RANDOM_WEIGHTS, needed, plan.seed)
    missing = []
    for name in needed:
        try:
            pretrained.build(name, BACKBONES[name].side, BACKBONES[name].side)
        except WeightsUnavailable:
            missing.append(name)
    if missing:
        raise WeightsUnavailable(
            f"The ImageNet weights of {', '.join(missing)} could not be downloaded. Give a folder with the "
            "weights files of keras.applications (without top) with --weights DIR, remove these backbones "
            "from --backbones, or try the search without ImageNet weights with --random-weights."
        )
    return {}
