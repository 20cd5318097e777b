"""Single decisions that test_random_histories.py reaches rarely or never."""

from dataclasses import replace
from typing import Any

import pytest

from imageclassifier_operator import api
from imageclassifier_operator.api import (
    ImageSource,
    ModelVersion,
    RolloutSettings,
    ServingSettings,
    Shadow,
    Step,
    Sticky,
)
from imageclassifier_operator.api.reasons import Reason
from imageclassifier_operator.observe.types import (
    Counters,
    GatewayReport,
    GatewaySnapshot,
    Problem,
    Snapshot,
    Verdict,
    VersionReport,
    VersionSnapshot,
)
from imageclassifier_operator.rollout import Decision, Goal, decide, figures, goal_of, routing
from imageclassifier_operator.rollout.state import HistoryEntry, Phase, State

NOW = 10_000.0
PASSED = Verdict(True, Reason.READY, "")


def served(version: int, memory: str = "1Gi", image: str | None = None, server: str = "tf:1") -> ModelVersion:
    serving = ServingSettings(resources={"requests": {"memory": memory}}, image=image)
    return ModelVersion(version, "pizza", ImageSource(f"pizza:{version}"), serving, None, server)


ONE, TWO = served(1), served(2)
ROLLING = State(revision=5, serving=ONE, candidate=TWO, attempt="a", since=NOW)


def goal(wanted: ModelVersion = TWO, attempt: str = "a", promote: str = "", **rules: Any) -> Goal:
    return Goal(
        wanted,
        attempt,
        RolloutSettings(**{"min_requests": 0, "on_inconclusive": "Continue", **rules}),
        promote,
    )


def seen(
    *, connected: bool = True, report: bool = True, error: str | None = None, revision: int = 5, **more: Any
) -> Snapshot:
    """Both versions are ready, and the only gateway has acknowledged the routing."""
    says = {1: VersionReport(True), 2: VersionReport(connected, error=error)}
    gateway = GatewaySnapshot("pizza-gateway-x", True, GatewayReport("g", revision, says) if report else None)
    versions = {v.version: VersionSnapshot(v.input_hash, True, 1) for v in (ONE, TWO)}
    observed = Snapshot(versions=versions, gateways=(gateway,), acknowledged_seconds=99.0)
    return replace(observed, **more)


def names(decision: Decision) -> list[str]:
    return [each.name for each in decision.taken]


# -- a candidate that passed, and cannot be used --------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (
            seen(connected=False, error="no route to host"),
            "Gateway pod pizza-gateway-x cannot use version 2: no route to host.",
        ),
        (seen(report=False), "Gateway pod pizza-gateway-x has not acknowledged routing revision 5 yet. If"),
        (
            seen(acknowledged_seconds=None, revision=4),
            "Gateway pod pizza-gateway-x has not acknowledged routing revision 5 yet and still uses "
            "revision 4",
        ),
    ],
    ids=["a gateway cannot reach it", "a gateway cannot be asked", "a gateway does not read the routing"],
)
def test_a_verified_candidate_that_gateways_cannot_use_fails_at_the_deadline(
    looks: Snapshot, said: str
) -> None:
    state = replace(ROLLING, phase=Phase.VERIFY)
    looks = replace(looks, verdict=PASSED)
    waiting = decide(goal(), state, looks, NOW + 599)
    assert (names(waiting), waiting.requeue_seconds) == ([], 1.0)
    [failed] = decide(goal(), state, looks, NOW + 600).state.failed
    assert failed.reason == "ProgressDeadlineExceeded"
    assert "Version 2 passed verification but could not get traffic within 600 s" in failed.message
    assert said in failed.message


def test_a_candidate_that_passed_waits_for_its_promotion_without_a_deadline() -> None:
    state = replace(ROLLING, phase=Phase.VERIFY, clock_stopped_since=NOW)
    looks = seen(connected=False, verdict=PASSED)
    assert names(decide(goal(paused=True), state, looks, NOW + 10_000)) == []


def test_a_share_that_a_gateway_cannot_send_is_rolled_back_at_the_deadline() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10)
    rules = {"steps": (Step(10, 30),)}
    looks = seen(connected=False, error="no route to host", unusable_seconds=599.0)
    assert names(decide(goal(**rules), state, looks, NOW + 700)) == []
    after = decide(goal(**rules), state, replace(looks, unusable_seconds=600.0), NOW + 700).state
    assert routing.shares(after) == {1: 100}
    assert "Gateway pod pizza-gateway-x cannot use version 2: no route to host." in after.failed[0].message


# -- a candidate that is mended under its number ---------------------------------------------------------

MENDED = served(2, memory="4Gi")


@pytest.mark.parametrize(
    "state",
    [
        replace(ROLLING, phase=Phase.LOAD),
        replace(ROLLING, phase=Phase.VERIFY),
        State(revision=5, phase=Phase.RETIRE, serving=ONE, since=NOW),
    ],
    ids=["while it is loaded", "while it is verified", "while it is removed"],
)
def test_a_corrected_candidate_does_not_fail_because_of_its_outdated_pods(state: State) -> None:
    looks = replace(broken(TWO), acknowledged_seconds=1.0)
    after = decide(goal(wanted=MENDED, attempt="b"), state, looks, NOW + 1)
    assert (after.state.phase, after.state.candidate) == (Phase.LOAD, MENDED)
    assert after.state.failed == ()
    again = decide(goal(wanted=MENDED, attempt="b"), after.state, looks, NOW + 2)
    assert (again.state.phase, again.taken) == (Phase.LOAD, ())


def test_a_corrected_candidate_whose_own_pods_break_fails() -> None:
    state = replace(ROLLING, phase=Phase.LOAD, candidate=MENDED, attempt="b")
    [failed] = decide(goal(wanted=MENDED, attempt="b"), state, broken(MENDED), NOW + 1).state.failed
    assert (failed.attempt, failed.reason) == ("b", "OutOfMemory")


def test_a_candidate_that_waits_for_its_earlier_pods_to_go_has_all_of_its_time_afterwards() -> None:
    mended = goal(wanted=MENDED, attempt="b", progress_deadline_seconds=100)
    state = replace(ROLLING, phase=Phase.LOAD, candidate=MENDED, attempt="b")
    in_the_way, gone = broken(TWO), replace(seen(), versions={1: VersionSnapshot(ONE.input_hash, True, 1)})
    state = decide(mended, state, in_the_way, NOW + 10).state
    assert names(decide(mended, state, in_the_way, NOW + 5_000)) == []
    state = decide(mended, state, gone, NOW + 5_000).state
    assert names(decide(mended, state, gone, NOW + 5_089)) == []
    assert names(decide(mended, state, gone, NOW + 5_090))[0] == "CandidateFailed"


def test_a_corrected_candidate_is_not_verified_while_its_earlier_pods_still_respond() -> None:
    state = replace(ROLLING, phase=Phase.LOAD)
    up = VersionSnapshot(TWO.input_hash, True, 1)
    waiting = seen(versions={**seen().versions, 2: replace(up, outdated_pods_serve=True)})
    assert names(decide(goal(), state, waiting, NOW + 1)) == []
    assert names(decide(goal(), state, seen(), NOW + 1)) == ["CandidateLoaded"]


def test_an_unchanged_failed_version_is_retried_only_when_its_pods_are_gone() -> None:
    """For example, a user corrects files on a volume: only the annotation changes."""
    first = decide(goal(), replace(ROLLING, phase=Phase.LOAD), broken(TWO), NOW + 1).state
    again = goal(attempt="b")
    waiting = replace(broken(TWO), acknowledged_seconds=1.0)
    assert names(decide(again, first, waiting, NOW + 2)) == []
    gone = replace(seen(), versions={1: VersionSnapshot(ONE.input_hash, True, 1)})
    after = decide(again, first, gone, NOW + 20)
    assert (names(after)[-1], after.state.candidate) == ("RolloutStarted", TWO)


def test_settings_corrected_in_place_do_not_fail_because_of_outdated_pods() -> None:
    after = decide(goal(wanted=MENDED, attempt="b"), SETTLING, broken(TWO), NOW + 1).state
    assert (after.phase, after.serving, after.failed) == (Phase.SETTLE, MENDED, ())


# -- rules that change on the way -----------------------------------------------------------------------


SETTLING = State(revision=5, phase=Phase.SETTLE, since=NOW, serving=TWO, previous=ONE, attempt="a")
BROKEN = Problem(Reason.OUT_OF_MEMORY, "the container used too much", fatal=True)


def broken(version: ModelVersion) -> Snapshot:
    looks = seen()
    up = {**looks.versions, version.version: VersionSnapshot(version.input_hash, False, 0, problem=BROKEN)}
    return replace(looks, versions=up)


@pytest.mark.parametrize(
    "changed",
    [goal(attempt="b", keep_previous_seconds=900), goal(wanted=served(2, memory="2Gi"), attempt="b")],
    ids=["other rules", "other settings"],
)
def test_a_rule_change_before_a_failure_does_not_cause_a_retry(changed: Goal) -> None:
    after = decide(changed, SETTLING, broken(changed.wanted), NOW + 1).state
    assert (after.serving, after.candidate) == (ONE, None)
    assert [failed.attempt for failed in after.failed] == ["b"]
    assert names(decide(changed, after, seen(), NOW + 2))[-1:] != ["RolloutStarted"]


def test_rules_that_change_after_a_manual_rollback_start_no_rollout() -> None:
    gone_back = replace(SETTLING, serving=ONE, previous=TWO, attempt="")
    after = decide(goal(wanted=ONE, attempt="b"), gone_back, seen(), NOW + 1).state
    assert after == replace(gone_back, min_replicas=1)


@pytest.mark.parametrize("phase", [Phase.SHIFT, Phase.SETTLE])
def test_no_version_loses_pods_while_versions_share_the_traffic_or_it_may_go_back(phase: Phase) -> None:
    """The serving version idles during a canary, so an autoscaler would take its pods."""
    state = {Phase.SHIFT: replace(ROLLING, phase=phase, percent=10)}.get(
        phase, replace(SETTLING, phase=phase)
    )
    rules = {"keep_previous_seconds": 900, "steps": (Step(10, 900),)}
    attempt, unacknowledged = state.attempt, seen(acknowledged_seconds=None)
    for wanted, kept in ((3, 3), (1, 3), (5, 5), (2, 5)):
        now = replace(goal(attempt=attempt, **rules), replicas=wanted)
        state = decide(now, state, unacknowledged, NOW + 1).state
        assert state.phase is phase
        assert state.replicas(wanted) == kept


def test_pods_may_be_removed_again_once_the_rollout_has_ended() -> None:
    state = replace(ROLLING, phase=Phase.STABLE, candidate=None, min_replicas=5)
    after = decide(replace(goal(wanted=ONE), replicas=2), state, seen(), NOW + 1).state
    assert after.phase is Phase.STABLE
    assert after.replicas(2) == 2


def test_a_weight_removed_from_the_steps_lasts_as_long_as_the_step_before_it() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10)
    edited = goal(steps=(Step(5, 60), Step(50, 60)))
    assert decide(edited, state, seen(), NOW + 59).state.percent == 10
    assert decide(edited, state, seen(), NOW + 60).state.percent == 50


def test_a_shadow_gets_the_share_that_the_spec_asks_for_now() -> None:
    state = replace(ROLLING, phase=Phase.SHIFT, shadow_percent=10)
    decision = decide(goal(shadow=Shadow(40, min_compared=100)), state, seen(), NOW + 1)
    assert (decision.state.shadow_percent, decision.state.revision) == (40, 6)


def test_a_change_of_the_sticky_key_is_a_new_revision() -> None:
    """Without a new revision, the operator would not know when the gateways have read the change."""
    stable = State(revision=5, phase=Phase.STABLE, serving=ONE)
    decision = decide(goal(wanted=ONE, sticky=Sticky("header", "X-User")), stable, seen(), NOW)
    assert decision.state.revision == 6
    document = routing.routing_file("pizza", "food", decision.state)
    assert document is not None
    assert document["sticky"] == {"header": "X-User"}


# -- the clock ------------------------------------------------------------------------------------------


def test_a_step_promoted_by_hand_lasts_no_longer_for_the_time_that_was_spent_paused() -> None:
    rules = {"steps": (Step(10, 60), Step(50, 60))}
    paused = replace(ROLLING, phase=Phase.SHIFT, percent=10, clock_stopped_since=NOW)
    promoted = decide(goal(paused=True, promote="yes", **rules), paused, seen(), NOW + 5_000).state
    assert promoted.percent == 50
    going_on = decide(goal(promote="yes", **rules), promoted, seen(), NOW + 5_010).state
    assert decide(goal(promote="yes", **rules), going_on, seen(), NOW + 5_069).state.phase is Phase.SHIFT
    assert decide(goal(promote="yes", **rules), going_on, seen(), NOW + 5_070).state.phase is Phase.SETTLE


def test_a_promote_token_continues_a_paused_rollout_only_once() -> None:
    rules: dict[str, Any] = {"paused": True, "steps": (Step(10, 60), Step(50, 60))}
    state = replace(ROLLING, phase=Phase.SHIFT, percent=10, clock_stopped_since=NOW)
    assert decide(goal(**rules), state, seen(), NOW + 1).state.percent == 10
    state = decide(goal(promote_token="monday", **rules), state, seen(), NOW + 2).state
    assert state.percent == 50
    for wanted in (
        goal(promote_token="monday", **rules),
        goal(**rules),
        goal(promote_token="monday", **rules),
    ):
        state = decide(wanted, state, seen(revision=state.revision), NOW + 3).state
        assert (state.phase, state.percent) == (Phase.SHIFT, 50)
    again = decide(goal(promote_token="tuesday", **rules), state, seen(revision=state.revision), NOW + 4)
    assert again.state.phase is Phase.SETTLE


def test_a_promote_token_that_is_in_the_manifest_of_a_new_version_promotes_nothing() -> None:
    wanted = goal(attempt="b", promote_token="monday", paused=True, steps=(Step(10, 60),))
    started = decide(wanted, State(revision=5, phase=Phase.STABLE, serving=ONE), seen(), NOW).state
    verified = replace(started, phase=Phase.VERIFY)
    looks = replace(seen(revision=verified.revision), verdict=PASSED)
    assert decide(wanted, verified, looks, NOW + 1).state.phase is Phase.VERIFY
    annotated = replace(wanted, promote="by hand")
    assert decide(annotated, verified, looks, NOW + 1).state.phase is Phase.SHIFT


def test_the_first_version_of_all_is_not_paused() -> None:
    """No version serves in the meantime, and the deadline counts."""
    first = State(phase=Phase.VERIFY, candidate=TWO, attempt="a", since=NOW)
    looks = replace(seen(), gateways=(), acknowledged_seconds=None)
    after = decide(goal(paused=True), first, looks, NOW + 600).state
    assert (after.phase, after.failed[0].version) == (Phase.PENDING, 2)


# -- what may change under the number of the version that serves ----------------------------------------


def classifier(**changed: Any) -> api.ImageClassifier:
    metadata = {"name": "pizza", "namespace": "food", "uid": "u", "generation": 2}
    model = {"version": 1, "source": {"image": {"reference": "pizza:{version}"}}}
    return api.parse({"metadata": metadata, "spec": {"model": model, **changed}})


SERVING = State(phase=Phase.STABLE, serving=classifier().candidate("tf:1"))


def test_other_settings_leave_the_version_that_serves_its_model_server() -> None:
    """An operator upgrade changes a default; no verification has covered the version with it."""
    more_memory = {"serving": {"resources": {"limits": {"memory": "4Gi"}}}}
    assert goal_of(classifier(**more_memory), "tf:2", SERVING).wanted.server_image == "tf:1"
    named = {"serving": {"image": "tf:3"}}
    wanted = goal_of(classifier(**named), "tf:2", SERVING).wanted
    assert wanted.server_image == "tf:3"
    assert goal_of(classifier(), "tf:2", replace(SERVING, serving=wanted)).wanted.server_image == "tf:2"


def test_a_change_of_on_inconclusive_does_not_retry_a_failed_version() -> None:
    def attempt(**rollout: Any) -> str:
        return goal_of(classifier(rollout=rollout), "tf:1", State()).attempt

    assert attempt(onInconclusive="Continue") == attempt() != attempt(minRequests=7)


@pytest.mark.parametrize("version", [1, 2])
def test_another_model_name_is_refused_while_a_version_serves(version: int) -> None:
    other = {
        "model": {"name": "salad", "version": version, "source": {"image": {"reference": "pizza:{version}"}}}
    }
    refused = goal_of(classifier(**other), "tf:1", SERVING)
    assert refused.wanted == SERVING.serving
    assert refused.refused is not None
    assert "create another ImageClassifier" in refused.refused.message


# -- latency --------------------------------------------------------------------------------------------


def window(**buckets: int) -> figures.Window:
    total = max(buckets.values())
    return figures.Window(
        total, 0, {**{float(k[1:]) / 1000: v for k, v in buckets.items()}, float("inf"): total}
    )


@pytest.mark.parametrize(
    ("buckets", "p99"),
    [
        ({"_200": 0, "_300": 100}, 299.0),
        ({"_200": 98, "_300": 100}, 250.0),
        ({"_200": 100, "_300": 100}, 198.0),
    ],
)
def test_the_99th_percentile_is_interpolated_within_its_bucket(buckets: dict[str, int], p99: float) -> None:
    assert window(**buckets).p99_milliseconds == pytest.approx(p99)


def test_beyond_the_last_bound_the_99th_percentile_is_at_least_that_bound() -> None:
    slow = figures.Window(10, 0, {300.0: 5, float("inf"): 10})
    assert slow.p99_milliseconds == 300_000
    assert figures.Window(0, 0, {}).p99_milliseconds is None


def test_the_figures_of_a_restarted_gateway_count_from_zero() -> None:
    before = figures.baseline(
        [GatewayReport("old", 1, {2: VersionReport(True, Counters(100, 7, {"+Inf": 100}))})]
    )
    now = [GatewayReport("new", 1, {2: VersionReport(True, Counters(30, 1, {"+Inf": 30}))})]
    counted = figures.window(2, before, now)
    assert (counted.requests, counted.errors) == (30, 1)


# -- the history ----------------------------------------------------------------------------------------


def with_digests(snapshot: Snapshot) -> Snapshot:
    versions = {n: replace(v, model_digest=f"pizza@sha256:{n}") for n, v in snapshot.versions.items()}
    return replace(snapshot, versions=versions)


UNLOADABLE = Problem(Reason.MODEL_LOAD_FAILED, "It is broken.", fatal=True)


@pytest.mark.parametrize(
    ("state", "wanted", "changed", "ended"),
    [
        (replace(ROLLING, phase=Phase.VERIFY), goal(), {"verdict": PASSED}, (2, "Promoted", "")),
        (
            replace(ROLLING, phase=Phase.VERIFY),
            goal(),
            {"verdict": Verdict(False, Reason.ACCEPTANCE_FAILED, "No pizza.")},
            (2, "Failed", "AcceptanceFailed"),
        ),
        (
            replace(ROLLING, phase=Phase.SHIFT, percent=10),
            goal(steps=(Step(10, 60),)),
            {"problem": UNLOADABLE},
            (2, "RolledBack", "ModelLoadFailed"),
        ),
        (replace(ROLLING, phase=Phase.VERIFY), goal(wanted=ONE, attempt="b"), {}, (2, "Aborted", "")),
        (
            State(revision=5, phase=Phase.SETTLE, serving=TWO, previous=ONE, attempt="a", since=NOW),
            goal(wanted=ONE, attempt="b"),
            {},
            (1, "Restored", ""),
        ),
    ],
    ids=["promoted", "failed", "rolled back", "aborted", "restored"],
)
def test_the_end_of_a_rollout_is_in_the_history(
    state: State, wanted: Goal, changed: dict[str, Any], ended: tuple[int, str, str]
) -> None:
    looks = with_digests(seen())
    if "problem" in changed:
        broken = replace(looks.versions[2], problem=changed["problem"])
        looks = replace(looks, versions={**looks.versions, 2: broken})
    else:
        looks = replace(looks, **changed)
    [entry] = decide(wanted, state, looks, NOW + 1).state.history
    assert (entry.version, entry.verdict, entry.reason) == ended
    assert (entry.time, entry.model_digest) == (NOW + 1, f"pizza@sha256:{ended[0]}")


def test_the_history_is_bounded_and_starts_with_the_newest() -> None:
    state = State()
    for version in range(1, 31):
        state = state.with_history(HistoryEntry(version, "Promoted", NOW))
    assert [entry.version for entry in state.history] == list(range(30, 20, -1))
    assert State.from_json(state.to_json()) == state


def test_a_state_of_a_release_without_history_is_read() -> None:
    stored = ROLLING.to_json()
    del stored["history"], stored["promotedToken"]
    assert State.from_json(stored) == ROLLING


# -- stop and start -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        State(revision=5, phase=Phase.STABLE, serving=ONE),
        replace(ROLLING, phase=Phase.LOAD),
        replace(ROLLING, phase=Phase.SHIFT, percent=10),
        State(revision=5, phase=Phase.SETTLE, serving=ONE, previous=TWO, attempt="a", since=NOW),
    ],
    ids=["at rest", "loading", "canary", "settling"],
)
def test_a_stopped_classifier_keeps_its_serving_version_and_fails_no_version(state: State) -> None:
    stopped = decide(replace(goal(), stopped=True), state, seen(), NOW + 1)
    assert (stopped.state.phase, stopped.state.serving) == (Phase.STOPPED, ONE)
    assert (stopped.state.kept, stopped.state.failed) == ({1: ONE}, ())
    gone = replace(seen(), gateways=(), versions={}, acknowledged_seconds=None)
    later = decide(replace(goal(), stopped=True), stopped.state, gone, NOW + 100_000)
    assert later.state == stopped.state
    assert later.requeue_seconds is None
    assert later.delete_others
    started = decide(replace(goal(wanted=ONE), stopped=False), later.state, gone, NOW + 100_001).state
    assert (started.phase, started.serving, started.failed) == (Phase.STABLE, ONE, ())


def test_a_version_requested_while_stopped_is_rolled_out_after_the_start() -> None:
    asleep = State(revision=5, phase=Phase.STOPPED, serving=ONE)
    assert decide(replace(goal(), stopped=True), asleep, seen(), NOW).state == asleep
    gone = replace(seen(), gateways=(), versions={}, acknowledged_seconds=None)
    woken = decide(goal(), asleep, gone, NOW).state
    assert (woken.phase, woken.serving, woken.candidate) == (Phase.LOAD, ONE, TWO)


def test_a_verification_with_a_data_set_has_more_time() -> None:
    """Both for its verdict, and for the gateways to connect to a version that passed late."""
    dataset = api.Dataset(api.DatasetClaim("pictures"), timeout_seconds=3600)
    rules = {"acceptance": api.Acceptance(dataset=dataset), "progress_deadline_seconds": 600}
    state = replace(ROLLING, phase=Phase.VERIFY)

    def after(seconds: float, snapshot: Snapshot) -> Phase:
        return decide(goal(**rules), state, snapshot, NOW + seconds).state.phase

    waits_for_gateways = seen(verdict=PASSED, connected=False)
    for snapshot in (seen(), waits_for_gateways):
        assert after(4199, snapshot) is Phase.VERIFY
        assert after(4201, snapshot) is Phase.RETIRE
    assert decide(goal(), state, seen(), NOW + 601).state.phase is Phase.RETIRE
