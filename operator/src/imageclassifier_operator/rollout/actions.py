"""What a transition changes in the State. The phase and its beginning are set by the machine, not here."""

from dataclasses import replace
from typing import Any

from imageclassifier_operator.rollout import analysis
from imageclassifier_operator.rollout.context import Scene
from imageclassifier_operator.rollout.state import FailedVersion, State


def begin(scene: Scene) -> State:
    """Bring up the wanted version beside whatever serves; what was kept warm is let go."""
    return replace(
        _without_candidate(scene.state),
        candidate=scene.goal.wanted,
        attempt=scene.goal.attempt,
        previous=None,
        promoted=scene.goal.promote,
    )


def abandon(scene: Scene) -> State:
    """Drop the candidate without blame: it is not wanted any more."""
    return _without_candidate(scene.state)


def fail(scene: Scene) -> State:
    """Take the candidate back and remember why."""
    assert scene.state.candidate is not None
    assert scene.blame is not None
    return _without_candidate(_remember(scene, scene.state.candidate.version))


def take_back(scene: Scene) -> State:
    """Return all traffic to the version before, and remember why."""
    assert scene.state.serving is not None
    state = _remember(scene, scene.state.serving.version)
    return replace(state, serving=state.previous, previous=None, attempt="", baseline={})


def go_back(scene: Scene) -> State:
    """Swap the serving version and the one kept warm, as the user asks. It is not judged again: it has
    served.
    """
    state = scene.state
    return replace(
        state, serving=state.previous, previous=state.serving, attempt="", baseline=_reading(scene)
    )


def judge_by_new_rules(scene: Scene) -> State:
    return replace(scene.state, attempt=scene.goal.attempt)


def update_in_place(scene: Scene) -> State:
    """A serving version that is still on trial is remembered by what it is made from now, should it fail."""
    attempt = scene.goal.attempt if scene.state.attempt else ""
    return replace(scene.state, serving=scene.goal.wanted, attempt=attempt, gone_since=None)


def stay(scene: Scene) -> State:
    return scene.state


def open_shadow(scene: Scene) -> State:
    shadow = scene.goal.rollout.shadow
    assert shadow is not None
    return replace(scene.state, percent=0, shadow_percent=shadow.percent, **_window(scene))


def open_next_step(scene: Scene) -> State:
    return replace(
        scene.state, percent=scene.goal.next_percent(scene.state.percent), shadow_percent=0, **_window(scene)
    )


def take_first(scene: Scene) -> State:
    """The first version of all gets all requests: there is none to keep warm."""
    return replace(_without_candidate(scene.state), serving=scene.state.candidate)


def take_over(scene: Scene) -> State:
    """The candidate gets all requests; the version before stays warm, so that going back is one write."""
    state = scene.state
    return replace(
        _without_candidate(state),
        serving=state.candidate,
        attempt=state.attempt,
        previous=state.serving,
        **_window(scene),
    )


def let_go(scene: Scene) -> State:
    return replace(scene.state, previous=None, attempt="", baseline={})


def _without_candidate(state: State) -> State:
    return replace(
        state, candidate=None, attempt="", percent=0, shadow_percent=0, stopped_since=None, baseline={}
    )


def _remember(scene: Scene, version: int) -> State:
    assert scene.blame is not None
    return scene.state.with_failed(
        FailedVersion(
            version=version,
            attempt=scene.state.attempt,
            reason=scene.blame.reason.value,
            message=scene.blame.message,
            time=scene.now,
        )
    )


def _reading(scene: Scene) -> dict[str, Any]:
    return analysis.baseline(scene.seen.reports)


def _window(scene: Scene) -> dict[str, Any]:
    """A new window of judgement, and a promotion that is used up."""
    return {"baseline": _reading(scene), "promoted": scene.goal.promote or scene.state.promoted}
