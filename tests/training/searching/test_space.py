"""The search space holds each setting once, and begins with each backbone in its plainest setting."""

from __future__ import annotations

import optuna

from imageclassifier_training.searching.space import HEAD_ONLY, Space

SPACE = Space(
    ("efficientnet_lite1@300", "efficientnet_lite0@224", "efficientnet_lite0@64+efficientnet_lite1@64"),
    fits=("squash",),
    views=(2, 4),
)


def test_each_setting_is_there_once_and_has_a_folder_of_its_own() -> None:
    settings = list(SPACE.settings())
    # 2 single backbones x 2 views x 2 class weights x (head only + 3 depths x 3 rates), and 4 combined ones
    assert len(settings) == 2 * 2 * 2 * (1 + 3 * 3) + 4
    assert len({each.name for each in settings}) == len(settings)


def test_a_search_begins_with_the_head_of_each_backbone_and_the_smallest_input() -> None:
    first = SPACE.first()
    assert [each.backbone for each in first] == [
        "efficientnet_lite0@64+efficientnet_lite1@64",
        "efficientnet_lite0@224",
        "efficientnet_lite1@300",
    ]
    assert {(each.views, each.blocks) for each in first} == {(2, HEAD_ONLY)}


def test_a_trial_with_the_parameters_of_a_setting_has_this_setting() -> None:
    for setting in SPACE.settings():
        assert SPACE.suggest(optuna.trial.FixedTrial(setting.parameters())) == setting


def test_several_backbones_side_by_side_are_not_fine_tuned() -> None:
    combined = [each for each in SPACE.settings() if "+" in each.backbone]
    assert combined
    assert {each.blocks for each in combined} == {HEAD_ONLY}
    assert len(combined[0].architecture.branches) == 2
