"""Which versions are wanted, and in which order they are loaded and unloaded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_server.version_policy import (
    Action,
    All,
    Latest,
    Phase,
    Snapshot,
    Specific,
    VersionPolicy,
    aspired_versions,
    next_action,
)

NAMES = ["1", "0003", "10", "2.tmp", "latest", "assets", "-7"]


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (Latest(), {10: "10"}),
        (Latest(0), {10: "10"}),
        (Latest(2), {3: "0003", 10: "10"}),
        (All(), {-7: "-7", 1: "1", 3: "0003", 10: "10"}),
        (Specific(frozenset({1, 3, 99})), {1: "1", 3: "0003"}),
        (Specific(frozenset()), {}),
    ],
)
def test_a_policy_picks_from_the_directories_that_are_numbers(
    policy: VersionPolicy, chosen: dict[int, str]
) -> None:
    assert aspired_versions(policy, NAMES) == chosen


def test_two_directories_for_one_version_give_one() -> None:
    assert aspired_versions(All(), ["1", "01"]) == {1: "1"}


def snapshot(phase: Phase, aspired: bool = True) -> Snapshot:
    return Snapshot(phase, aspired)


def test_the_highest_new_version_is_loaded_first() -> None:
    assert next_action({1: snapshot(Phase.NEW), 2: snapshot(Phase.NEW)}) == Action("load", 2)


def test_an_old_version_serves_until_a_wanted_one_does() -> None:
    old = snapshot(Phase.READY, aspired=False)
    assert next_action({1: old, 2: snapshot(Phase.NEW)}) == Action("load", 2)
    assert next_action({1: old, 2: snapshot(Phase.LOADING)}) is None
    assert next_action({1: old, 2: snapshot(Phase.FAILED)}) is None
    assert next_action({1: old, 2: snapshot(Phase.READY)}) == Action("unload", 1)


def test_versions_are_unloaded_when_none_is_wanted() -> None:
    assert next_action({1: snapshot(Phase.READY, False), 2: snapshot(Phase.READY, False)}) == Action(
        "unload", 1
    )
    assert next_action({1: snapshot(Phase.READY, False)}) == Action("unload", 1)


def test_of_two_old_versions_one_may_leave_at_once() -> None:
    old = snapshot(Phase.READY, False)
    assert next_action({1: old, 2: old, 3: snapshot(Phase.NEW)}) == Action("unload", 1)


@given(
    st.dictionaries(
        st.integers(1, 5), st.builds(Snapshot, st.sampled_from(Phase), st.booleans()), min_size=1, max_size=5
    )
)
def test_the_last_version_that_serves_never_leaves_while_another_is_wanted(
    versions: dict[int, Snapshot],
) -> None:
    action = next_action(versions)
    serving = [number for number, version in versions.items() if version.phase is Phase.READY]
    if action and action.kind == "unload" and any(version.aspired for version in versions.values()):
        assert len(serving) > 1
    if action and action.kind == "load":
        assert versions[action.version] == Snapshot(Phase.NEW, aspired=True)
