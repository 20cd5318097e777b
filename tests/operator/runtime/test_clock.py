"""The clock of rollouts: what it shows while the clock of the node jumps."""

import pytest

from imageclassifier_operator.runtime.clock import SteadyClock


class Node:
    """A node, whose clock is wrong by `error`."""

    def __init__(self) -> None:
        self.seconds, self.error = 1_000.0, 0.0
        self.clock = SteadyClock(lambda: self.seconds + self.error, lambda: self.seconds)

    def after(self, seconds: float) -> float:
        """What the clock shows so much later, with a glance each second."""
        for _ in range(round(seconds)):
            self.seconds += 1
            self.clock()
        return self.clock()


def test_it_shows_the_time_of_day() -> None:
    node = Node()
    node.error = 0.01
    assert node.after(100) == pytest.approx(1_100.01)


@pytest.mark.parametrize("jump", [-300, 300])
def test_it_follows_a_jump_slowly(jump: int) -> None:
    node = Node()
    node.error = jump
    assert node.clock() == 1_000
    assert node.after(100) == pytest.approx(1_100 + jump / 30)
    assert node.after(2_900) == pytest.approx(4_000 + jump)
    assert node.after(1_000) == pytest.approx(5_000 + jump)


def test_it_never_goes_back() -> None:
    node = Node()
    before = node.clock()
    for error in (5, -4_000, 3_000, -1):
        node.error = error
        for _ in range(3):
            assert node.after(1) > before
            before = node.clock()


def test_a_long_time_without_a_glance_is_real_time() -> None:
    node = Node()
    node.seconds += 10_000
    assert node.clock() == 11_000
